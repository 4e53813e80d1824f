"""What doctor looks at. Each check yields what it found, good or bad, with the mend."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from coordinator import library
from coordinator.config import fleet
from coordinator.config.settings import Settings
from coordinator.doors.keys import damages, strangers
from coordinator.doors.session import Session
from coordinator.doors.times import ago
from coordinator.errors import ConfigError, CoordinatorError, StoreUnavailable
from coordinator.operations import GetStatus, Hosts
from coordinator.operations.hosts import HostList
from coordinator.operations.status import FleetStatus


class Finding(NamedTuple):
    """One thing looked at: `ok`, `note` (worth knowing) or `wrong`, and what to do."""

    what: str
    state: Literal["ok", "note", "wrong"]
    text: str
    fix: str = ""


async def of_server(session: Session) -> AsyncIterator[Finding]:
    """The server, its keys, and the fleet in it. Raises StoreUnavailable when nothing can be asked."""
    info = await session.within(session.store.server())
    for finding in _server(info):
        yield finding
    for finding in _keys(session.store.root, await session.store.types()):
        yield finding
    try:
        status, hosts = await asyncio.gather(session.ask(GetStatus()), session.ask(Hosts()))
    except StoreUnavailable:
        raise
    except CoordinatorError as error:
        yield Finding("fleet", "wrong", str(error))
        return
    for finding in (*_namespace(status), *_hosts(hosts)):
        yield finding


def of_machine(settings: Settings) -> Iterator[Finding]:
    """agents.yaml of this machine, and the programs it names."""
    path, explicit = settings.config_file()
    try:
        text = fleet.read(path, explicit=explicit)
        if text is None:
            yield Finding("agents.yaml", "note", f"there is no {path}", "coordinator init writes one")
            return
        read, warnings = fleet.parse(text, path.name)
    except ConfigError as error:
        yield from (Finding("agents.yaml", "wrong", f"{path}: {problem}") for problem in error.problems)
        return
    yield Finding("agents.yaml", "ok", f"{path} is good")
    yield from (Finding("agents.yaml", "note", str(warning)) for warning in warnings)
    for pool, runner in read.runners.items():
        program = runner.command[0] if runner.command else runner.adapter or pool
        found = shutil.which(program)
        if found:
            yield Finding("program", "ok", f"{pool}: {Path(found)}")
        else:
            fix = f"install it, or take runners.{pool} out of {path}"
            yield Finding("program", "wrong", f"{pool}: {program} is not on PATH", fix)


def _server(info: dict[str, Any]) -> Iterator[Finding]:
    version = info.get("valkey_version") or info.get("redis_version", "of an unknown version")
    yield Finding("server", "ok", f"{'Valkey' if 'valkey_version' in info else 'Redis'} {version}")
    if info.get("role") in ("slave", "replica"):
        yield Finding("server", "wrong", "is a read-only replica", "point REDIS_URL at the primary")
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if int(info.get("maxmemory", 0)) and policy != "noeviction":
        fix = "redis-cli CONFIG SET maxmemory-policy noeviction, and in its config file"
        yield Finding("memory", "wrong", f"maxmemory-policy is {policy}: a full server would drop work", fix)
    else:
        yield Finding("memory", "ok", f"maxmemory-policy {policy}")
    if not int(info.get("aof_enabled", 0)):
        fix = "redis-cli CONFIG SET appendonly yes, and in its config file"
        yield Finding("durability", "note", "no append-only file: a crash of the server loses what waits", fix)
    elif str(info.get("aof_last_write_status", "ok")) != "ok":
        yield Finding("durability", "wrong", "the append-only file can not be written", "look at the server's disk")
    else:
        yield Finding("durability", "ok", "append-only file")


def _keys(root: str, types: dict[str, str]) -> Iterator[Finding]:
    damaged = damages(root, types)
    yield from (Finding("keys", "wrong", one.text, one.fix) for one in damaged)
    if not damaged:
        yield Finding("keys", "ok", f"{len(types)} keys of {root}, each of its type")
    if strange := strangers(root, types):
        more = f" and {len(strange) - 5} more" if len(strange) > 5 else ""
        yield Finding("keys", "note", f"nobody reads {', '.join(strange[:5])}{more}")


def _namespace(status: FleetStatus) -> Iterator[Finding]:
    if status.lib > library.LIB:
        text = f"the server has library {status.lib}, this program {library.LIB}"
        yield Finding("library", "note", text, "update this program")
    else:
        yield Finding("library", "ok", f"number {status.lib}")
    if status.frozen:
        text = "frozen: nothing starts" + (" (this namespace is new)" if status.new else "")
        yield Finding("namespace", "note", text, "coordinator start")
    else:
        yield Finding("namespace", "ok", f"{status.running} running, {status.queued} queued")
    if status.settling and status.settling > status.now:
        yield Finding("namespace", "note", "settling: nothing starts until every host has reported")
    held = next((view.used for view in status.keys if view.key == "*"), 0)
    if held == status.running:
        yield Finding("slots", "ok", f"{held} held, {status.running} running")
    else:
        text = f"{held} are held and {status.running} run: keys were changed by hand"
        yield Finding("slots", "wrong", text, "coordinator doctor --fix; see below what it is")


def _hosts(found: HostList) -> Iterator[Finding]:
    for host in found.hosts:
        if host.state == "silent":
            text = f"{host.host} is silent, last beat {ago(host.beat, found.now)}, holding {len(host.held)}"
            fix = f"start its worker again, or if its machine is dead: coordinator host forget {host.host} --dead"
            yield Finding("hosts", "wrong", text, fix)
        elif host.trouble:
            yield Finding("hosts", "note", f"{host.host} takes no work: {host.trouble}", "give it room")
        else:
            yield Finding("hosts", "ok", f"{host.host} is {host.state}, {len(host.held)}/{host.slots} slots")
    if not found.hosts:
        yield Finding("hosts", "note", "no host: nothing can start", "worker run, or coordinator up")
