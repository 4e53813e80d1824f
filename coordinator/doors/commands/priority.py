"""priority: let one that waits go before others, or after them."""

import asyncio
from typing import Annotated

import typer

from coordinator.doors.endings import state
from coordinator.doors.failing import bad_input, refused
from coordinator.doors.options import STEER, Json, Root, Workspace, command
from coordinator.doors.printing import emit, say
from coordinator.doors.session import opened, question, who
from coordinator.operations import Prioritize
from coordinator.operations.prioritize import Prioritized


def add(app: typer.Typer) -> None:
    """Register it."""
    command(app, STEER, "coordinator priority core/go-io/task-5 9")(priority)


def priority(
    workspace: Workspace,
    level: Annotated[int, typer.Argument(metavar="0-9", help="9 goes first; 5 where none was given.")],
    json: Json = False,
    root: Root = None,
) -> None:
    """Change the priority of a workspace that waits.

    Among those of its new priority it goes by when it was asked for."""
    asked = question(Prioritize, workspace=workspace, priority=level, by=who())
    asyncio.run(_priority(asked, root, as_json=json))


async def _priority(asked: Prioritize, root: str | None, *, as_json: bool) -> None:
    async with opened(root) as session:
        reply = await session.ask(asked)
        if as_json:
            emit(reply)
        if not isinstance(reply, Prioritized):
            said = await state(session, asked.workspace)
            raise bad_input(said) if "there is no" in said else refused(f"{said}; it does not wait")
    if not as_json:
        place = f", place {reply.place} of its lane" if reply.place else ", and waits for its time"
        say(f"{asked.workspace} has priority {reply.now} (was {reply.was}){place}")
