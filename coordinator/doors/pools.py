"""Which pools exist, the guess for an agent that no host serves, and the way out where one host alone may serve it."""

import asyncio
from collections.abc import Iterable

from coordinator.config import fleet
from coordinator.config.settings import Settings
from coordinator.doors.session import Session
from coordinator.errors import ConfigError
from coordinator.models import Refusal, Workspace
from coordinator.operations import GetStatus, Hosts
from coordinator.problems import guess
from coordinator.words import KINDS, pool_of


async def unserved(session: Session, agents: Iterable[str]) -> list[str]:
    """A sentence for each pool of `agents` that no host serves: `no host serves 'codx' (did you mean codex?)`."""
    seen, status = await asyncio.gather(session.ask(Hosts()), session.ask(GetStatus()))
    serving = {pool for host in seen.hosts for pool in host.pools}
    wanted = dict.fromkeys(pool_of(agent or status.default_agent or "claude") for agent in agents)
    limited = _pools(view.key for view in status.keys)
    known = serving | limited | _of_file(session.settings)
    return [_sentence(pool, known, bool(seen.hosts)) for pool in wanted if pool not in serving]


async def way_out(session: Session, record: Workspace, refusal: Refusal | None) -> str | None:
    """What to do about an answered workspace whose host does not take it; None for any other."""
    name, host = record.workspace, record.requires
    if not record.pinned or not host or refusal is None or refusal.reason != "no_host":
        return None
    there = next(
        (one for one in (await session.ask(Hosts())).hosts if one.host == host and one.state != "silent"), None
    )
    if there is None:
        return (
            f"if {host} is gone for good: coordinator cancel {name}, then coordinator retry {name} lets any host run it"
        )
    if pool_of(record.agent) in there.pools:
        return None  # it is quiet, or has not such labels
    other = f"coordinator cancel {name} and resume it with an agent {host} serves: {', '.join(sorted(there.pools))}"
    return f"give {host} a runner for it in its agents.yaml, or {other}"


def _sentence(pool: str, known: set[str], hosts: bool) -> str:
    near = guess(pool, sorted(known - {pool}))
    if pool not in known and near:
        return f"no host serves '{pool}' ({near})"
    if not hosts:
        return f"no host serves '{pool}': no worker runs yet (worker run, or coordinator up)"
    return f"no host serves '{pool}': give a host a runner for it in its agents.yaml (runners.{pool})"


def _of_file(settings: Settings) -> set[str]:
    """The pools of this machine's agents.yaml, where there is a good one."""
    try:
        file, _ = settings.config_file()
        text = fleet.read(file, explicit=False)
        read = fleet.parse(text, file.name)[0] if text is not None else fleet.Fleet()
    except ConfigError:
        return set()
    return {*read.runners, *_pools(read.concurrency)}


def _pools(keys: Iterable[str]) -> set[str]:
    return {pool_of(key) for key in keys if key != "*" and pool_of(key) not in KINDS}
