"""start and stop: thaw and freeze the queue, or one limit key."""

import asyncio
from typing import Annotated

import typer

from coordinator import actions
from coordinator.doors.moments import moment, moments
from coordinator.doors.options import STEER, Json, Reason, Root, command
from coordinator.doors.printing import emit, say
from coordinator.doors.session import opened, question, who
from coordinator.doors.times import clock
from coordinator.operations import Freeze, Thaw

Key = Annotated[
    str | None,
    typer.Option("--key", metavar="KEY", help="Only this limit key, such as codex, repo:core/web or host:build-1."),
]


def add(app: typer.Typer) -> None:
    """Register them."""
    command(app, STEER, "coordinator start", "coordinator start --key codex")(start)
    command(
        app,
        STEER,
        "coordinator stop --reason 'release day'",
        "coordinator stop --key host:build-1 --until +2h --reason 'new disk'",
    )(stop)


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
        typer.Option(metavar="TIME", help="Thaw by itself then: 2h30m from now, 18:30 or 2026-11-24T18:30:00Z."),
    ] = None,
    json: Json = False,
    root: Root = None,
) -> None:
    """Freeze the queue, one limit key, or one host: nothing more starts there, what runs goes on.

    It is remembered until somebody starts it."""
    if until is not None:
        moment("--until", until, 0)  # a wrong one is told before the server is asked for the time
    question(Freeze, key=key, by=who(), reason=reason)

    async def run() -> None:
        async with opened(root) as session:
            times = await moments(session, {} if until is None else {"until": until})
            stopped = await actions.stop(session, key, by=who(), reason=reason, **times)
        if json:
            return emit(stopped.reply, until=stopped.until)
        return say(stopped.text + (f" until {clock(stopped.until)}" if stopped.until else ""))

    asyncio.run(run())
