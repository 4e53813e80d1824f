"""limits and backoff: how many may run under a key, and until when nothing starts under it."""

import asyncio
from typing import Annotated

import typer

from coordinator.doors import supposed
from coordinator.doors.commands.status import print_keys, state_of
from coordinator.doors.options import STEER, Json, Reason, Root, command
from coordinator.doors.printing import emit, say, table
from coordinator.doors.session import duration, opened, question, who
from coordinator.doors.times import ahead, clock
from coordinator.errors import InvalidQuestion, Problem
from coordinator.models import KeyView
from coordinator.operations import BackOff, GetStatus, Limit, WhatIf
from coordinator.words import shown

_KEYS = "*, codex, codex:gpt-5.4, repo:core/go-io, org:core, label:gpu"
Key = Annotated[str | None, typer.Argument(metavar="KEY", help=f"{_KEYS}, repo:* (each).")]
GateKey = Annotated[str | None, typer.Argument(metavar="KEY", help=f"{_KEYS}.")]
_NO_LIMIT = supposed.NO_LIMIT
_DASHES = {"ignore_unknown_options": True}  # so that -1 is a wrong number and not an unknown option


def add(app: typer.Typer) -> None:
    """Register them."""
    command(
        app,
        STEER,
        "coordinator limits",
        "coordinator limits codex 5     (0 closes it)",
        "coordinator limits codex none",
        "coordinator limits --what-if codex=8 --what-if repo:core/x=2",
        context_settings=_DASHES,
    )(limits)
    command(
        app,
        STEER,
        "coordinator backoff codex 30m --reason 'usage limit'",
        "coordinator backoff codex clear",
        context_settings=_DASHES,
    )(backoff)


def limits(
    key: Key = None,
    limit: Annotated[
        str | None,
        typer.Argument(metavar="N|none", help="The most agents that may run at once; none removes the limit."),
    ] = None,
    what_if: Annotated[
        list[str] | None,
        typer.Option("--what-if", metavar="KEY=N|none", help="Set nothing: show what would start with this limit."),
    ] = None,
    json: Json = False,
    root: Root = None,
) -> None:
    """Show limits, or set one for the whole fleet.

    Lowering one ends nothing; raising one starts at once what now fits. --what-if shows that beforehand."""
    asked = None
    if what_if:
        if key is not None:
            raise InvalidQuestion([Problem("--what-if", "sets nothing", "leave KEY and N out")])
        return asyncio.run(_suppose(supposed.asked(what_if), root, as_json=json))
    if key is not None:
        value = None if limit in _NO_LIMIT else _number(limit)
        asked = question(Limit, key=key, limit=value, clear=limit in _NO_LIMIT or None, by=who())
    return asyncio.run(_limits(asked, root, as_json=json))


async def _suppose(asked: WhatIf, root: str | None, *, as_json: bool) -> None:
    async with opened(root) as session:
        found = await session.ask(asked)
    return emit(found) if as_json else supposed.show(found)


async def _limits(asked: Limit | None, root: str | None, *, as_json: bool) -> None:
    async with opened(root) as session:
        if asked is None:
            fleet = await session.ask(GetStatus())
            limited = [view for view in fleet.keys if view.limit is not None and not view.inherited]
            if as_json:
                return emit({"outcome": "limits", "limits": {view.key: view.limit for view in limited}})
            if not limited:
                return say("no limit: everything may run at once (set one like: coordinator limits codex 5)")
            return print_keys(limited)
        reply = await session.ask(asked)
    if as_json:
        return emit(reply, key=asked.key)
    was, now = (f"{_limit(value)}" for value in (reply.was, reply.now))
    return say(f"{asked.key}: {now} (was {was})" + (f", {reply.woken} hosts woken" if reply.woken else ""))


def backoff(
    key: GateKey = None,
    length: Annotated[
        str | None,
        typer.Argument(metavar="DURATION|clear", help="From now: 90s, 30m, 1h30m; a bare number is seconds."),
    ] = None,
    reason: Reason = None,
    json: Json = False,
    root: Root = None,
) -> None:
    """Show what backs off, or let nothing start under a key for a while.

    When its time is over the key goes on step by step: one agent, then 2 more, then 4. clear opens it at once."""
    asked = None
    if key is not None:
        if length is None:
            raise InvalidQuestion(
                [Problem("DURATION", "is missing", f"write coordinator backoff {shown(key)} 30m, or clear")]
            )
        millis = None if length == "clear" else duration("DURATION", length)
        asked = question(BackOff, key=key, duration=millis, clear=length == "clear" or None, reason=reason, by=who())
    asyncio.run(_backoff(asked, root, as_json=json))


async def _backoff(asked: BackOff | None, root: str | None, *, as_json: bool) -> None:
    async with opened(root) as session:
        fleet = await session.ask(GetStatus())
        if asked is None:
            shut = [view for view in fleet.keys if view.reason == "backoff" or view.ramp]
            if as_json:
                return emit({"outcome": "backoff", "keys": [view.model_dump(exclude_none=True) for view in shut]})
            return _gates(shut, fleet.now)
        reply = await session.ask(asked)
    if as_json:
        return emit(reply, key=asked.key)
    if reply.now > fleet.now:
        return say(f"{asked.key} backs off until {clock(reply.now)} ({ahead(reply.now, fleet.now)})")
    return say(f"{asked.key} is open" + ("" if reply.was else " (it was open)"))


def _gates(shut: list[KeyView], now: int) -> None:
    if not shut:
        return say("nothing backs off")
    rows = [
        (
            view.key,
            ahead(view.until, now) if view.until else "now",
            clock(view.until) if view.until else "",
            state_of(view),
        )
        for view in shut
    ]
    return table(("limit key", "opens", "at", "why"), rows)


def _number(text: str | None) -> int:
    if text is None:
        raise InvalidQuestion([Problem("N", "is missing", "write coordinator limits codex 5, or none")])
    if not (text.isascii() and text.isdigit()) or len(text) > 14:
        problem = f"must be none or a whole number of at least 0 and below 1e14, got {shown(text)}"
        raise InvalidQuestion([Problem("N", problem, "write 5; 0 closes the key, none removes its limit")])
    return int(text)


def _limit(value: int | None) -> str:
    return "no limit" if value is None else f"limit {value}" + (", closed" if value == 0 else "")
