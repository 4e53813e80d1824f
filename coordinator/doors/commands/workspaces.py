"""workspaces: which there are, by filters, newest first."""

import asyncio
import shlex
from typing import Annotated, Final

import typer

from coordinator.doors.listing import STYLES, Agent, Host, Repo, Status, about, found, told
from coordinator.doors.options import LOOK, Json, Root, command
from coordinator.doors.printing import emit, note, say, table
from coordinator.doors.session import duration, opened, question
from coordinator.doors.times import ago
from coordinator.operations import GetStatus, Query
from coordinator.operations.query import Found

_COUNT: Final = 50


def add(app: typer.Typer) -> None:
    """Register it."""
    command(
        app,
        LOOK,
        "coordinator workspaces --status failed",
        "coordinator workspaces --agent codex --repo core/go-io --newer 24h",
    )(workspaces)


def workspaces(
    status: Status = None,
    agent: Agent = None,
    repo: Repo = None,
    host: Host = None,
    newer: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Changed its status in the last 90s, 5m, 1h30m ...")
    ] = None,
    older: Annotated[str | None, typer.Option(metavar="DURATION", help="Did not change it in that time.")] = None,
    count: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = _COUNT,
    cursor: Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on where the last page ended.")] = None,
    json: Json = False,
    root: Root = None,
) -> None:
    """List workspaces by status, agent, repository, host, or the age of their last change.

    What runs comes first, then what waits, then what ended; newest first."""
    filters = {"status": status, "agent": agent, "repo": repo, "host": host}
    ages = {name: text for name, text in (("newer", newer), ("older", older)) if text is not None}
    least, most = (duration(f"--{name}", ages[name]) if name in ages else None for name in ("older", "newer"))
    asked = question(Query, **filters, cursor=cursor)

    async def run() -> None:
        async with opened(root) as session:
            now = (await session.ask(GetStatus())).now
            times = {"after": _before(now, most), "before": _before(now, least)}
            page = await found(session, asked.model_copy(update=times), count)
        if json:
            return emit(told(page))
        _print(page, now)
        if page.cursor:
            said = {**filters, **ages, "count": None if count == _COUNT else str(count), "root": root}
            given = [word for name, value in said.items() if value for word in (f"--{name}", value)]
            note(f"more: {shlex.join(['coordinator', 'workspaces', *given, '--cursor', page.cursor])}")
        return None

    asyncio.run(run())


def _before(now: int, duration: int | None) -> int | None:
    """The first moment that is not older; a duration from before 1970 is all of time."""
    return None if duration is None else max(now - duration, 0)


def _print(page: Found, now: int) -> None:
    if not page.workspaces:
        return say("no workspace")
    rows = [
        (row.workspace, row.status, row.agent, row.host or "", ago(row.since, now), about(row))
        for row in page.workspaces
    ]
    return table(("workspace", "status", "agent", "host", "since", "about"), rows, STYLES)
