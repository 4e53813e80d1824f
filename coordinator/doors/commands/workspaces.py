"""workspaces: which there are, by filters, newest first."""

import asyncio
import shlex
from typing import Annotated

import typer

from coordinator.doors.endings import GOOD
from coordinator.doors.options import LOOK, Json, Root, command
from coordinator.doors.printing import emit, note, say, table
from coordinator.doors.session import Session, opened, question
from coordinator.doors.times import ago
from coordinator.models import Workspace
from coordinator.operations import GetStatus, Query
from coordinator.operations.query import Found

_PAGE = 500  # the most one question answers


def add(app: typer.Typer) -> None:
    """Register it."""
    command(
        app,
        LOOK,
        "coordinator workspaces --status failed",
        "coordinator workspaces --agent codex --repo core/go-io --count 200",
    )(workspaces)


def workspaces(
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="queued, running, failed, blocked ...")] = None,
    agent: Annotated[str | None, typer.Option(metavar="NAME", help="A pool or an agent: codex, codex:gpt-5.4.")] = None,
    repo: Annotated[str | None, typer.Option(metavar="[ORG/]NAME", help="A repository.")] = None,
    host: Annotated[str | None, typer.Option(metavar="NAME", help="Where it runs or last ran.")] = None,
    count: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on where the last page ended.")] = None,
    json: Json = False,
    root: Root = None,
) -> None:
    """List workspaces by status, agent, repository or host.

    What runs comes first, then what waits, then what ended; newest first."""
    filters = {"status": status, "agent": agent, "repo": repo, "host": host}
    asked = question(Query, **filters, cursor=cursor, count=min(count, _PAGE))

    async def run() -> None:
        async with opened(root) as session:
            now = (await session.ask(GetStatus())).now
            found = await _found(session, asked, count)
        if json:
            return emit(found)
        _print(found, now)
        if found.cursor:
            given = [word for name, value in filters.items() if value for word in (f"--{name}", value)]
            note(f"more: {shlex.join(['coordinator', 'workspaces', *given, '--cursor', found.cursor])}")
        return None

    asyncio.run(run())


async def _found(session: Session, asked: Query, count: int) -> Found:
    """A page of `count`: one question looks at a bounded number of records, so it may take several."""
    rows: list[Workspace] = []
    page = asked
    while True:
        part = await session.ask(page)
        rows += part.workspaces
        if part.cursor is None or len(rows) >= count:
            return Found(workspaces=tuple(rows), cursor=part.cursor)
        page = asked.model_copy(update={"cursor": part.cursor, "count": min(count - len(rows), _PAGE)})


def _print(found: Found, now: int) -> None:
    if not found.workspaces:
        return say("no workspace")
    styles = {"failed": "red", "blocked": "yellow", "running": "cyan"} | dict.fromkeys(GOOD, "green")
    rows = [
        (row.workspace, row.status, row.agent, row.host or "", ago(_since(row), now), _about(row))
        for row in found.workspaces
    ]
    return table(("workspace", "status", "agent", "host", "since", "about"), rows, styles)


def _since(row: Workspace) -> int | None:
    if row.status == "queued":
        return row.queued_at
    return row.started_at if row.status == "running" else row.ended_at


def _about(row: Workspace) -> str:
    if row.kill:
        return f"being ended: {row.kill.reason or row.kill.by or 'asked to'}"
    return row.question or row.pr_url or row.task
