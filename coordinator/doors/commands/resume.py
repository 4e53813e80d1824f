"""resume: answer what an agent asked, and let it go on."""

import asyncio
from typing import Annotated

import typer

from coordinator.doors.commands.wait import wait_for
from coordinator.doors.endings import ended, state
from coordinator.doors.failing import bad_input, refused
from coordinator.doors.options import WORK, Json, Root, Workspace, command
from coordinator.doors.pools import way_out
from coordinator.doors.printing import emit, note, say
from coordinator.doors.session import Session, opened, question, who
from coordinator.doors.texts import because, text_of
from coordinator.errors import InvalidQuestion, Problem
from coordinator.operations import Explain, Retry
from coordinator.operations.explain import Explained


def add(app: typer.Typer) -> None:
    """Register it."""
    command(
        app,
        WORK,
        "coordinator resume core/go-io/task-5 --answer 'port 8080' --wait",
        "coordinator resume core/go-io/task-5 --answer-file answer.md --agent claude",
    )(resume)


def resume(
    workspace: Workspace,
    answer: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What to tell the agent; - reads stdin. At most 64 KiB.")
    ] = None,
    answer_file: Annotated[str | None, typer.Option(metavar="FILE", help="A file with the answer; - is stdin.")] = None,
    agent: Annotated[str | None, typer.Option(metavar="NAME", help="Let another agent go on with it.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; exit 1 when it failed.")] = False,
    json: Json = False,
    root: Root = None,
) -> None:
    """Answer a workspace that has ended, and queue it again in front.

    It goes on where it lies, on the host that ran it last, with the answer in ANSWER.md and in its task.
    From any machine: everything travels through Redis. A blocked one asks; a failed or completed one may be told more.
    """
    text = text_of("--answer", answer, answer_file)
    if text is None:
        fix = "coordinator retry runs it again without one"
        raise InvalidQuestion([Problem("--answer", "or --answer-file is needed", fix)])
    asked = question(Retry, workspace=workspace, answer=text, agent=agent, by=who())
    asyncio.run(_resume(asked, workspace, wait=wait, as_json=json, root=root))


async def _resume(asked: Retry, name: str, *, wait: bool, as_json: bool, root: str | None) -> None:
    async with opened(root) as session:
        if not (await session.ask(asked)).count:
            said = await state(session, name)
            if said.endswith("queued"):
                said += f": coordinator cancel {name}, then resume it, tells it something else"
            raise bad_input(said) if "there is no" in said else refused(said)
        await _print(session, name, as_json=as_json)
        if wait and (code := await wait_for(session, [name], as_json=as_json)):
            raise typer.Exit(code)


async def _print(session: Session, name: str, *, as_json: bool) -> None:
    why, record = await asyncio.gather(session.ask(Explain(workspace=name)), ended(session, name))
    refusal = why.refusal if isinstance(why, Explained) else None
    host = record.requires if record else None
    if as_json:
        shown = refusal.model_dump(mode="json", exclude_none=True) if refusal else None
        return emit({"outcome": "done", "count": 1, "workspace": name, "host": host, "refusal": shown})
    said = f"{name} queued again in front{f', for host {host}' if host else ''}"
    say(f"{said}: {because(refusal)}" if refusal else said)
    if record and (out := await way_out(session, record, refusal)):
        note(out)
    return None
