"""dispatch: ask that an agent works on a workspace."""

import asyncio
from typing import Annotated, Any

import typer

from coordinator import actions
from coordinator.doors.commands import dispatch_lines
from coordinator.doors.commands.wait import wait_for
from coordinator.doors.failing import refused
from coordinator.doors.moments import moment, moments
from coordinator.doors.names import made_name
from coordinator.doors.options import WORK, Deadline, Json, NotBefore, Root, command
from coordinator.doors.pools import unserved
from coordinator.doors.printing import emit, note, say
from coordinator.doors.session import opened, question
from coordinator.doors.texts import because, here, text_of, thawing
from coordinator.errors import InvalidQuestion, Problem
from coordinator.operations import Submit
from coordinator.operations.submit import AlreadyKnown, Granted, Queued, Refused, SubmitReply


def add(app: typer.Typer) -> None:
    """Register it."""
    command(
        app,
        WORK,
        "coordinator dispatch core/go-io/task-5 --agent codex --repo core/go-io --task 'Fix the flaky test' --wait",
        "git diff | coordinator dispatch --agent claude --task -",
        "coordinator dispatch core/go-io/task-6 --task 'Measure it' --not-before 22:00 --deadline 06:00",
        'coordinator dispatch --file tasks.jsonl     (lines like {"workspace": "a/1", "task": "..."})',
    )(dispatch)


def dispatch(
    workspace: Annotated[
        str | None, typer.Argument(metavar="WORKSPACE", help="Its name; one is made where none is given.")
    ] = None,
    agent: Annotated[
        str | None, typer.Option(metavar="NAME", help="Such as codex or codex:gpt-5.4; else the fleet's default.")
    ] = None,
    task: Annotated[str | None, typer.Option(metavar="TEXT", help="What to do; - reads stdin. At most 1 MiB.")] = None,
    task_file: Annotated[str | None, typer.Option(metavar="FILE", help="A file with the task; - is stdin.")] = None,
    repo: Annotated[str | None, typer.Option(metavar="ORG/NAME", help="The repository it is about.")] = None,
    branch: Annotated[str | None, typer.Option(metavar="NAME", help="The branch to work on.")] = None,
    source: Annotated[
        str | None, typer.Option(metavar="PATH|URL", help="A git repository to make the agent's checkout from.")
    ] = None,
    priority: Annotated[int | None, typer.Option(metavar="0-9", help="9 goes first; 5 where none is given.")] = None,
    host: Annotated[str | None, typer.Option(metavar="NAME", help="Only this host may run it.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="Only hosts with it; may be repeated.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="One more limit key it counts under; may be repeated.")
    ] = None,
    not_before: NotBefore = None,
    deadline: Deadline = None,
    again: Annotated[bool, typer.Option("--again", help="Run one that has ended once more.")] = False,
    file: Annotated[
        str | None, typer.Option(metavar="FILE", help="JSON lines, one workspace each; - is stdin.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; exit 1 when it failed.")] = False,
    json: Json = False,
    root: Root = None,
) -> None:
    """Ask that an agent works on a workspace.

    The answer says whether it waits, and why. Asking twice is asking once.
    With --file the other options are defaults for lines that do not say otherwise.
    """
    if file == "-" and "-" in (task, task_file):
        raise InvalidQuestion([Problem("--file", "can not be stdin too: the task is", "put one of them into a file")])
    org, mark, name = repo.rpartition("/") if repo is not None else (None, "", None)
    fields: dict[str, Any] = {
        "agent": agent, "task": text_of("--task", task, task_file), "repo": name, "org": org if mark else None,
        "branch": branch, "source": here(source), "priority": priority, "host": host, "labels": label, "keys": key,
        "again": again or None,
    }  # fmt: skip
    times = {name: text for name, text in (("not_before", not_before), ("deadline", deadline)) if text is not None}
    for option, text in times.items():  # a wrong one is told before the server is asked for the time
        moment(option, text, 0)
    if file is not None and workspace is not None:
        raise InvalidQuestion([Problem("WORKSPACE", "can not be given with --file", "name it in the file")])
    if file is not None:
        asyncio.run(dispatch_lines.dispatch(file, fields | times, wait=wait, as_json=json, root=root))
    else:
        asked = question(Submit, **fields, workspace=made_name(fields) if workspace is None else workspace)
        asyncio.run(_dispatch(asked, times, wait=wait, as_json=json, root=root))


async def _dispatch(asked: Submit, times: dict[str, str], *, wait: bool, as_json: bool, root: str | None) -> None:
    async with opened(root) as session:
        asked = asked.model_copy(update=await moments(session, times))
        reply = (await actions.dispatch(session, **asked.model_dump(exclude_none=True))).reply
        _print(asked, reply, as_json=as_json)
        if not isinstance(reply, AlreadyKnown):
            for sentence in await unserved(session, [asked.agent or ""]):
                note(sentence)
        if isinstance(reply, Refused):
            raise typer.Exit(1)
        if wait:
            if code := await wait_for(session, [asked.workspace], as_json=as_json):
                raise typer.Exit(code)
        elif isinstance(reply, AlreadyKnown) and reply.status in ("failed", "blocked"):
            raise refused(f"{asked.workspace} has {reply.status} already: --again runs it once more")


def _print(asked: Submit, reply: SubmitReply, *, as_json: bool) -> None:
    name = asked.workspace
    if as_json:
        return emit(reply, workspace=name)
    match reply:
        case Queued(refusal=None):
            say(f"{name} queued: a host is being woken for it")
        case Queued(place=place, refusal=refusal) if refusal:
            say(f"{name} queued{f', place {place}' if place else ''}: {because(refusal)}")
            if refusal.reason == "frozen":
                note(f"thaw the queue with: {thawing(refusal.key)}")
        case AlreadyKnown(status=status, host=host):
            ended = "" if status in ("queued", "running") else ": --again runs it once more"
            say(f"{name} is {status} already{f' on {host}' if host else ''}{ended}")
        case Granted(grant=grant):
            say(f"{name} granted, token {grant.token}")
        case Refused(refusal=refusal):
            say(f"{name} refused: {because(refusal)}")
    return None
