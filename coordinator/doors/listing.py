"""Lists of records: the filters that are typed, pages of any size, and what is shown of each."""

import time
from typing import Annotated, Any, Final

import typer

from coordinator.doors.endings import GOOD
from coordinator.doors.session import Session
from coordinator.doors.times import clock
from coordinator.models import Workspace
from coordinator.operations import Query
from coordinator.operations.query import Found

STYLES: Final = {"failed": "red", "blocked": "yellow", "running": "cyan"} | dict.fromkeys(GOOD, "green")
_PAGE = 500  # the most one question answers

Status = Annotated[str | None, typer.Option(metavar="STATUS", help="queued, running, failed, blocked ...")]
Agent = Annotated[str | None, typer.Option(metavar="NAME", help="A pool or an agent: codex, codex:gpt-5.4.")]
Repo = Annotated[str | None, typer.Option(metavar="[ORG/]NAME", help="A repository.")]
Host = Annotated[str | None, typer.Option(metavar="NAME", help="Where it runs or last ran.")]


async def found(session: Session, asked: Query, count: int) -> Found:
    """A page of `count`: one question looks at a bounded number of records, so it may take several."""
    rows: list[Workspace] = []
    page = asked.model_copy(update={"count": min(count, _PAGE)})
    while True:
        part = await session.ask(page)
        rows += part.workspaces
        if part.cursor is None or len(rows) >= count:
            return Found(workspaces=tuple(rows), cursor=part.cursor)
        page = asked.model_copy(update={"cursor": part.cursor, "count": min(count - len(rows), _PAGE)})


def told(page: Found) -> dict[str, Any]:
    """A page of records for machines."""
    return page.model_dump(mode="json", exclude_none=True, exclude={"names"})


def about(row: Workspace) -> str:
    """What there is to say of it: why it is being ended, when it may start, what it asks, its work, or its task."""
    if row.kill:
        return f"being ended: {row.kill.reason or row.kill.by or 'asked to'}"
    if row.status == "queued" and (row.not_before or 0) > time.time() * 1000:
        return f"not before {clock(row.not_before or 0)}"
    return row.question or row.pr_url or row.task
