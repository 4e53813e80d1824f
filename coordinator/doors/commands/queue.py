"""cancel, retry and poke: workspaces leave the queue, enter it again, and everything is looked at now."""

import asyncio
from typing import Annotated

import typer

from coordinator import actions
from coordinator.doors.endings import state
from coordinator.doors.failing import bad_input, refused
from coordinator.doors.listing import found
from coordinator.doors.moments import moment
from coordinator.doors.options import STEER, Deadline, Json, NotBefore, Root, command
from coordinator.doors.printing import emit, say
from coordinator.doors.session import Session, duration, opened, question, who
from coordinator.errors import InvalidQuestion, Problem
from coordinator.operations import Cancel, GetStatus, Query, Retry

Names = Annotated[list[str] | None, typer.Argument(metavar="WORKSPACE...", help="One or more names.")]


def add(app: typer.Typer) -> None:
    """Register them."""
    command(app, STEER, "coordinator cancel core/go-io/task-5", "coordinator cancel --all")(cancel)
    command(app, STEER, "coordinator retry core/go-io/task-5", "coordinator retry --killed --newer 1h")(retry)
    command(app, STEER, "coordinator poke")(poke)


def cancel(
    workspaces: Names = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    json: Json = False,
    root: Root = None,
) -> None:
    """Take waiting workspaces out of the queue.

    They become failed. One that runs is left alone: kill ends it."""
    chosen = _chosen(workspaces, "queued" if everything else None, "--all")
    asyncio.run(_change(Cancel, chosen, "cancelled", root, as_json=json))


def retry(
    workspaces: Names = None,
    status: Annotated[
        str | None, typer.Option(metavar="STATUS", help="All of a status: failed, blocked, completed ...")
    ] = None,
    killed: Annotated[bool, typer.Option("--killed", help="All that kill or a worker's stop ended.")] = False,
    newer: Annotated[
        str | None, typer.Option(metavar="DURATION", help="With --killed: ended in that time, such as 1h.")
    ] = None,
    not_before: NotBefore = None,
    deadline: Deadline = None,
    json: Json = False,
    root: Root = None,
) -> None:
    """Queue workspaces that have ended once more.

    Their attempts are forgiven, so a lost one is tried as often as a new one. Times that are still ahead hold;
    `--not-before now` and `--deadline none` end them."""
    if killed:
        if workspaces or status is not None:
            raise InvalidQuestion([Problem("--killed", "chooses by itself", "leave names and --status out")])
        if not_before is not None or deadline is not None:
            raise InvalidQuestion([Problem("not_before, deadline", "is for workspaces that are named", "name one")])
        return asyncio.run(_killed(root, duration("--newer", newer) if newer is not None else None, as_json=json))
    if newer is not None:
        raise InvalidQuestion([Problem("--newer", "goes with --killed", "leave it out")])
    chosen = _chosen(workspaces, status, "--status failed")
    times = {name: text for name, text in (("not_before", not_before), ("deadline", deadline)) if text is not None}
    if times and status is not None:
        raise InvalidQuestion([Problem(", ".join(times), "is for workspaces that are named", "name one")])
    for name, text in times.items():
        _moment(name, text, 0)
    return asyncio.run(_change(Retry, chosen, "queued again", root, times, as_json=json))


def poke(json: Json = False, root: Root = None) -> None:
    """Look now: wake replicas and do what time has made due.

    Leases that ran out are ended and gates that are due opened. Nothing needs it; it only hurries."""
    asyncio.run(_poke(root, as_json=json))


def _chosen(names: list[str] | None, status: str | None, option: str) -> list[dict[str, str]]:
    if bool(names) == (status is not None):
        raise InvalidQuestion([Problem("WORKSPACE", f"or {option} is needed, and not both", "name one")])
    return [{"status": status}] if status is not None else [{"workspace": name} for name in names or ()]


async def _change(
    verb: type[Cancel] | type[Retry],
    chosen: list[dict[str, str]],
    word: str,
    root: str | None,
    times: dict[str, str] | None = None,
    *,
    as_json: bool,
) -> None:
    asked = [question(verb, **one, by=who()) for one in chosen]
    count, untouched = 0, []
    async with opened(root) as session:
        now = (await session.ask(GetStatus())).now if times else 0
        told = {name: _moment(name, text, now) for name, text in (times or {}).items()}
        asked = [one.model_copy(update=told) for one in asked]
        for one in asked:
            changed = await _all_parts(session, one)
            count += changed
            if not changed and one.workspace:
                untouched.append(await state(session, one.workspace))
    if as_json:
        emit({"outcome": "done", "count": count})
    else:
        say(f"{count} {word}")
    if any("there is no" in text for text in untouched):
        raise bad_input("; ".join(untouched))
    if untouched:
        raise refused("; ".join(untouched))


def _moment(name: str, text: str, now: int) -> int:
    return 0 if text == {"not_before": "now", "deadline": "none"}[name] else moment(name, text, now)


async def _killed(root: str | None, newer: int | None, *, as_json: bool) -> None:
    """Bring back what was ended by somebody's word. What may live yet is blocked, and is not among it."""
    async with opened(root) as session:
        after = max((await session.ask(GetStatus())).now - newer, 0) if newer is not None else None
        failed = await found(session, Query(status="failed", after=after), 100_000)
        names = [row.workspace for row in failed.workspaces if row.verdict in ("killed", "stopped")]
        count = sum([await _all_parts(session, question(Retry, workspace=name, by=who())) for name in names])
    if as_json:
        return emit({"outcome": "done", "count": count})
    return say(f"{count} queued again")


async def _all_parts(session: Session, asked: Cancel | Retry) -> int:
    part = await session.ask(asked)
    count = part.count
    while part.more:
        part = await session.ask(asked.model_copy(update={"cursor": part.cursor}))
        count += part.count
    return count


async def _poke(root: str | None, *, as_json: bool) -> None:
    async with opened(root) as session:
        poked = await actions.poke(session)
    if as_json:
        lost, opened_keys = len(poked.lost), list(poked.opened)
        return emit({"outcome": "reaped", "heard": poked.heard, "lost": lost, "opened": opened_keys})
    return say(poked.text)
