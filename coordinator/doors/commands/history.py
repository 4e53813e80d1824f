"""history: the last dispatches, whatever became of them, and the count of those that were forgotten."""

import asyncio
from typing import Annotated

import typer

from coordinator.doors.listing import STYLES, Agent, Host, Repo, Status, about, found, told
from coordinator.doors.options import LOOK, Json, Root, command
from coordinator.doors.printing import emit, say, table
from coordinator.doors.session import opened, question
from coordinator.doors.times import clock, span
from coordinator.models import Workspace
from coordinator.operations import GetStatus, Query
from coordinator.operations.status import Summed

_MILLION = 1_000_000


def add(app: typer.Typer) -> None:
    """Register it."""
    command(app, LOOK, "coordinator history", "coordinator history 200 --agent codex --status failed")(history)


def history(
    number: Annotated[int, typer.Argument(min=1, max=10_000, metavar="N", help="How many.")] = 50,
    status: Status = None,
    agent: Agent = None,
    repo: Repo = None,
    host: Host = None,
    json: Json = False,
    root: Root = None,
) -> None:
    """The last dispatches: what became of each, how long it ran, what it cost.

    Newest change first; without filters also how much was forgotten, by pool. dispatch.history in
    agents.yaml says how long a record is kept."""
    filters = {"status": status, "agent": agent, "repo": repo, "host": host}
    asked = question(Query, **filters, recent=True)

    async def run() -> None:
        async with opened(root) as session:
            fleet, last = await asyncio.gather(session.ask(GetStatus()), found(session, asked, number))
        if json:
            summary = {pool: one.model_dump() for pool, one in fleet.summary.items()}
            return emit(told(last), summary=summary)
        _print(last.workspaces, fleet.now)
        for pool, one in sorted(fleet.summary.items()) if not any(filters.values()) else ():
            say(f"forgotten of {pool}: {_summed(one)}")
        return None

    asyncio.run(run())


def _print(rows: tuple[Workspace, ...], now: int) -> None:
    if not rows:
        return say("no workspace")
    columns = ("when", "workspace", "agent", "host", "status", "ran", "cost", "about")
    return table(columns, [_cells(row, now) for row in rows], STYLES)


def _cells(row: Workspace, now: int) -> tuple[str, ...]:
    when = clock(row.since) if row.since is not None else ""
    took = _took(row, now)
    ran = span(took) if took is not None else ""
    return (when, row.workspace, row.agent, row.host or "", row.status, ran, _cost(row.cost_usd), about(row))


def _took(row: Workspace, now: int) -> int | None:
    """How long its last run took, or takes; nothing when it ended or waits without one."""
    end = now if row.status == "running" else row.ended_at
    return end - row.started_at if row.mode and end is not None and row.started_at is not None else None


def _cost(millionths: int | None) -> str:
    return f"${millionths / _MILLION:.2f}" if millionths else ""


def _summed(one: Summed) -> str:
    counts = [f"{count} {status}" for status, count in sorted(one.counts.items())]
    return ", ".join([*counts, f"ran {span(one.ms)}", *([f"cost {_cost(one.cost_usd)}"] if one.cost_usd else [])])
