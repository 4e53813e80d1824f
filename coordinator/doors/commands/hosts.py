"""hosts, and host quiet|thaw|forget."""

import asyncio
from typing import Annotated, Literal

import typer

from coordinator.doors.failing import bad_input, refused
from coordinator.doors.options import LOOK, STEER, Json, Root, command
from coordinator.doors.printing import emit, say, table
from coordinator.doors.session import opened, question, who
from coordinator.doors.texts import frozen, thawing
from coordinator.doors.times import ago
from coordinator.models import HostView
from coordinator.operations import Host, Hosts
from coordinator.operations.host import HostHolds, HostSet
from coordinator.operations.hosts import HostList

Name = Annotated[str, typer.Argument(metavar="HOST", help="Its name, such as h1: see coordinator hosts.")]


def add(app: typer.Typer) -> None:
    """Register them."""
    command(app, LOOK, "coordinator hosts")(hosts)
    host = typer.Typer(no_args_is_help=True)
    command(host, STEER, "coordinator host quiet h1")(quiet)
    command(host, STEER, "coordinator host thaw h1")(thaw)
    command(host, STEER, "coordinator host forget h1 --dead")(forget)
    app.add_typer(host, name="host", help="One host: quiet, thaw or forget it.", rich_help_panel=STEER)


def hosts(json: Json = False, root: Root = None) -> None:
    """List hosts: what each serves, its slots and what it holds.

    A silent host has missed three beats: it gets nothing new, and its slots stay held."""

    async def run() -> None:
        async with opened(root) as session:
            found = await session.ask(Hosts())
        if json:
            return emit(found)
        return _table(found)

    asyncio.run(run())


def quiet(host: Name, json: Json = False, root: Root = None) -> None:
    """Give a host nothing new; what it runs may end."""
    asyncio.run(_set(host, "quiet", root, as_json=json))


def thaw(host: Name, json: Json = False, root: Root = None) -> None:
    """Give a quiet host work again."""
    asyncio.run(_set(host, "thaw", root, as_json=json))


def forget(
    host: Name,
    dead: Annotated[
        bool, typer.Option("--dead", help="Its machine is dead, I know it: queue again at once what it ran.")
    ] = False,
    json: Json = False,
    root: Root = None,
) -> None:
    """Forget a host that will not come back.

    While it holds runs that needs --dead: your word replaces the proof."""
    asyncio.run(_set(host, "forget", root, dead=dead, as_json=json))


async def _set(
    host: str, action: Literal["quiet", "thaw", "forget"], root: str | None, *, dead: bool = False, as_json: bool
) -> None:
    asked = question(Host, host=host, action=action, dead=dead or None, by=who())
    requeued: list[str] = []
    async with opened(root) as session:
        reply = await session.ask(asked)
        while isinstance(reply, HostSet) and reply.more:
            requeued += reply.requeued
            reply = await session.ask(asked)
    match reply:
        case HostSet():
            requeued += reply.requeued
            if as_json:
                return emit(reply.model_copy(update={"requeued": tuple(requeued)}))
            return say(f"host {host} is {reply.state}" + (f", queued again: {', '.join(requeued)}" if requeued else ""))
        case HostHolds(refusal=refusal):
            if as_json:
                emit(reply)
            held = ", ".join(refusal.holders[:10])
            ends = f"coordinator kill --host {host} ends them"
            word = f"if its machine is dead: coordinator host forget {host} --dead"
            raise refused(f"host {host} still holds {refusal.used} ({held}): {ends}; {word}")
        case _:
            raise bad_input(f"there is no host {host}: see coordinator hosts")


def _table(found: HostList) -> None:
    if not found.hosts:
        return say("no host: start one with `worker run`, or all of one machine with `coordinator up`")
    rows = [
        (
            host.host, _state(host), ago(host.beat, found.now), f"{len(host.held)}/{host.slots}",
            " ".join(host.pools), " ".join(host.labels), " ".join(host.held),
        )
        for host in found.hosts
    ]  # fmt: skip
    styles = {"silent": "red", "quiet": "yellow", "frozen": "yellow", "live": "green"}
    table(("host", "state", "beat", "slots", "serves", "labels", "holds"), rows, styles)
    for host in found.hosts:
        if host.freeze:
            say(f"{frozen(f'host:{host.host}', host.freeze)} (thaw it with: {thawing(f'host:{host.host}')})")
        if host.trouble:
            say(f"{host.host} takes no work: {host.trouble}")
    return None


def _state(host: HostView) -> str:
    return "frozen" if host.freeze and host.state == "live" else host.state
