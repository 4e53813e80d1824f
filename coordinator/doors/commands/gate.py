"""start and stop: thaw and freeze the queue, or one limit key."""

import asyncio
from typing import Annotated

import typer

from coordinator import actions
from coordinator.doors.options import STEER, Json, Reason, Root, command
from coordinator.doors.printing import emit, say
from coordinator.doors.session import duration, opened, question, who
from coordinator.doors.times import clock
from coordinator.operations import Freeze, Thaw

Key = Annotated[str | None, typer.Option("--key", metavar="KEY", help="Only this limit key, such as codex.")]


def add(app: typer.Typer) -> None:
    """Register them."""
    command(app, STEER, "coordinator start", "coordinator start --key codex")(start)
    command(app, STEER, "coordinator stop --reason 'release day'", "coordinator stop --key codex --until 2h")(stop)


def start(key: Key = None, json: Json = False, root: Root = None) -> None:
    """Thaw the queue: what waits may start.

    It is remembered until somebody stops it."""
    question(Thaw, key=key, by=who())

    async def run() -> None:
        async with opened(root) as session:
            started = await actions.start(session, key, by=who())
        return emit(started.reply) if json else say(started.text)

    asyncio.run(run())


def stop(
    reason: Reason = None,
    key: Key = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Thaw by itself after so long: 90s, 2h30m; a bare number is seconds."),
    ] = None,
    json: Json = False,
    root: Root = None,
) -> None:
    """Freeze the queue: nothing more starts, what runs goes on.

    It is remembered until somebody starts it."""
    wanted = duration("--until", until) if until is not None else None
    question(Freeze, key=key, by=who(), reason=reason)

    async def run() -> None:
        async with opened(root) as session:
            stopped = await actions.stop(session, key, by=who(), reason=reason, lasts=wanted)
        if json:
            return emit(stopped.reply, until=stopped.until)
        return say(stopped.text + (f" until {clock(stopped.until)}" if stopped.until else ""))

    asyncio.run(run())
