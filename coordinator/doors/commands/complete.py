"""complete: report that a run has ended."""

import asyncio
from typing import Annotated

import typer

from coordinator.doors.failing import bad_input, refused
from coordinator.doors.options import STEER, Json, Root, Workspace, command
from coordinator.doors.printing import emit, say
from coordinator.doors.session import duration, opened, question
from coordinator.operations import Complete
from coordinator.operations.complete import AlreadyEnded, Completed, Stale, UnknownWorkspace


def add(app: typer.Typer) -> None:
    """Register it."""
    command(
        app,
        STEER,
        "coordinator complete core/go-io/task-5 --status completed --pr-url https://host/pull/7",
        "coordinator complete core/go-io/task-5 --status failed --retry-after 30m",
    )(complete)


def complete(
    workspace: Workspace,
    status: Annotated[
        str, typer.Option(metavar="STATUS", help="completed, merged, ready-for-review, failed or blocked.")
    ],
    token: Annotated[int | None, typer.Option(metavar="N", help="The lease's token, where the run is yours.")] = None,
    question_: Annotated[
        str | None, typer.Option("--question", metavar="TEXT", help="What it asks, or why it failed.")
    ] = None,
    pr_url: Annotated[str | None, typer.Option(metavar="URL", help="The pull request it made.")] = None,
    retry_after: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="A usage limit: its pool backs off so long (30m; a bare number is seconds)."
        ),
    ] = None,
    json: Json = False,
    root: Root = None,
) -> None:
    """Report how a run ended.

    Without its token that is heard only for runs that no worker holds."""
    pause = duration("--retry-after", retry_after) // 1000 if retry_after is not None else None
    asked = question(
        Complete, workspace=workspace, status=status, token=token, question=question_, pr_url=pr_url, retry_after=pause
    )

    async def run() -> None:
        async with opened(root) as session:
            reply = await session.ask(asked)
        if json:
            emit(reply, workspace=workspace)
        match reply:
            case UnknownWorkspace():
                raise bad_input(f"there is no workspace {workspace}: see coordinator workspaces")
            case Stale() if token is None:
                raise refused(f"a worker holds {workspace}, and only its token ends the run: coordinator kill ends it")
            case Stale():
                raise refused(f"the token {token} of {workspace} is not the newest: nothing was changed")
            case AlreadyEnded() if not json:
                say(f"{workspace} does not run: it is {reply.status} already")
            case Completed() if not json:
                say(f"{workspace} {reply.status}")

    asyncio.run(run())
