"""kill: end what runs and fail what waits."""

import asyncio
import contextlib
from typing import Annotated, Final

import typer

from coordinator import actions
from coordinator.doors.endings import ended, receipt, state, until_ended
from coordinator.doors.failing import bad_input, refused
from coordinator.doors.live import LiveLine
from coordinator.doors.options import STEER, Json, Reason, Root, command
from coordinator.doors.printing import emit, note, say
from coordinator.doors.session import Session, opened, who
from coordinator.models import Workspace
from coordinator.operations import GetStatus, Kill

WAIT: Final = 20.0
"""Seconds until the command stops waiting for runs to end; they go on ending without it."""


def add(app: typer.Typer) -> None:
    """Register it."""
    command(
        app,
        STEER,
        "coordinator kill core/go-io/task-5",
        "coordinator kill --agent codex --reason 'wrong branch'",
        "coordinator kill --yes     (everything: freezes the queue, ends what runs, fails what waits)",
    )(kill)


def kill(
    workspace: Annotated[str | None, typer.Argument(metavar="WORKSPACE", help="End just this one.")] = None,
    agent: Annotated[
        str | None, typer.Option(metavar="NAME", help="All of a pool or agent: codex, codex:gpt-5.4.")
    ] = None,
    repo: Annotated[str | None, typer.Option(metavar="ORG/NAME", help="All of a repository.")] = None,
    host: Annotated[str | None, typer.Option(metavar="NAME", help="All that run on a host or must.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything; so also where nothing is named.")] = False,
    reason: Reason = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help=f"Up to {WAIT:.0f} seconds for the runs to end.")
    ] = True,
    json: Json = False,
    root: Root = None,
) -> None:
    """End runs, and fail what waits.

    One workspace, those of an agent, a repository or a host, or everything; everything also freezes the queue.
    Asks first, unless one workspace is named. Of each run it says which processes were ended, and by which signal;
    `coordinator why` says it later, from any machine. `coordinator retry --killed` brings back what was ended.
    """
    named = {"workspace": workspace, "agent": agent, "repo": repo, "host": host}
    asked = actions.chosen(everything, by=who(), reason=reason, **named)
    asyncio.run(_kill(asked, root, ask=not yes and workspace is None, wait=wait, as_json=json))


async def _kill(asked: Kill, root: str | None, *, ask: bool, wait: bool, as_json: bool) -> None:
    async with opened(root) as session:
        if ask:
            await _confirm(session, asked)
        killed = await actions.kill(session, **asked.model_dump(exclude_none=True, exclude={"all"}))
        running = killed.running
        if asked.workspace and not running and not killed.cleared:
            said = await state(session, asked.workspace)
            raise bad_input(said) if said.startswith("there is no") else refused(f"{said}: there is nothing to end")
        ends: dict[str, str] = {}
        records: dict[str, Workspace | None] = {}
        if wait and running:
            with contextlib.suppress(TimeoutError), LiveLine() as live:
                live.show(f"waiting for {len(running)} runs to end")
                async with asyncio.timeout(WAIT):
                    async for name, found in until_ended(session, running):
                        ends[name] = found.status if found else "gone"
            records = {name: await ended(session, name) for name in ends}
    if as_json:
        receipts = {name: one.receipt.model_dump() for name, one in records.items() if one and one.receipt}
        answer = {"outcome": "killing", "running": running, "cleared": killed.cleared, "ended": ends}
        return emit(answer | {"receipts": receipts})
    for name in running:
        say(f"  {name} {ends.get(name, 'is being ended')}")
        if record := records.get(name):
            for line in receipt(record):
                say(f"    {line}")
    say(killed.text + ("; the queue is frozen, thaw it with: coordinator start" if killed.frozen else ""))
    if wait and len(ends) < len(running):
        note(f"{len(running) - len(ends)} have not ended yet; their hosts end them, see coordinator workspaces")
    return None


async def _confirm(session: Session, asked: Kill) -> None:
    fleet = await session.ask(GetStatus())
    what = (
        ", ".join(f"{name} {value}" for name, value in _selector(asked))
        or f"everything ({fleet.running} running, {fleet.queued} queued)"
    )
    try:
        sure = typer.confirm(f"End {what}{', and freeze the queue' if asked.all else ''}?", err=True)
    except typer.Abort:
        sure = False
    if not sure:
        raise refused("nothing was ended (without a question: --yes)")


def _selector(asked: Kill) -> list[tuple[str, str]]:
    return [(name, value) for name in ("agent", "repo", "host") if (value := getattr(asked, name))]
