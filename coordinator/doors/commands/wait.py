"""wait: until workspaces have ended."""

import asyncio
from collections.abc import Mapping
from typing import Annotated

import typer

from coordinator.doors.endings import GOOD, ended, sentence, until_ended, way_on
from coordinator.doors.failing import BAD_INPUT, REFUSED
from coordinator.doors.live import LiveLine
from coordinator.doors.options import WORK, Json, Root, Timeout, command
from coordinator.doors.printing import complain, emit, note, say
from coordinator.doors.session import Session, duration, opened, question
from coordinator.doors.texts import because
from coordinator.operations import Explain
from coordinator.operations.explain import Explained
from coordinator.steady import end


def add(app: typer.Typer) -> None:
    """Register it."""
    command(
        app,
        WORK,
        "coordinator wait core/go-io/task-5 core/go-io/task-6 --timeout 2h",
    )(wait)


def wait(
    workspaces: Annotated[list[str], typer.Argument(metavar="WORKSPACE...", help="One or more names.")],
    timeout: Timeout = None,
    json: Json = False,
    root: Root = None,
) -> None:
    """Wait until workspaces have ended.

    Exit 1 when one failed or is blocked, or when the time was over."""
    for name in workspaces:
        question(Explain, workspace=name)
    limit = duration("--timeout", timeout) / 1000 if timeout is not None else None

    async def run() -> None:
        async with opened(root) as session:
            if code := await wait_for(session, workspaces, as_json=json, timeout=limit):
                raise typer.Exit(code)

    asyncio.run(run())


async def wait_for(session: Session, names: list[str], *, as_json: bool, timeout: float | None = None) -> int:  # noqa: ASYNC109  # a person's option, with a message of its own
    """Print each workspace as it ends. The exit code: 1 when one failed or the time was over, 2 when one is unknown."""
    left, code = dict.fromkeys(names), 0
    waiting: Mapping[str, Explained] = {}
    with LiveLine() as live:

        def changed(now: Mapping[str, Explained]) -> None:
            nonlocal waiting
            waiting = now
            live.show(_line(now) if now else "")

        async def report() -> None:
            nonlocal code
            async for name, found in until_ended(session, left, changed):
                del left[name]
                live.clear()
                code = max(code, await _report(session, name, found, as_json=as_json))

        reporting = asyncio.create_task(report())
        try:
            in_time, _ = await asyncio.wait([reporting], timeout=timeout)
        finally:
            await end([reporting])  # a timeout of asyncio would cancel it once, and redis-py may lose that
        if in_time:
            reporting.result()
        else:
            code = max(code, REFUSED)
    for name in left:
        complain(f"the time is over, and {name} {_state(waiting.get(name))}")
    return code


async def _report(session: Session, name: str, found: Explained | None, *, as_json: bool) -> int:
    record = await ended(session, name) if found else None
    if record is None or found is None:
        complain(f"there is no workspace {name}: see coordinator workspaces")
        return BAD_INPUT
    if as_json:
        emit(record)
    else:
        say(sentence(record), "" if record.status in GOOD else "red")
        if on := way_on(record):
            note(on)
    return 0 if found.status in GOOD else REFUSED


def _line(now: Mapping[str, Explained]) -> str:
    running = sum(found.status == "running" for found in now.values())
    if len(now) == 1:
        ((name, found),) = now.items()
        return f"{name} {_state(found)}"
    reason = next((because(found.refusal) for found in now.values() if found.refusal), "")
    return f"{running} running, {len(now) - running} queued{f': {reason}' if reason else ''}"


def _state(found: Explained | None) -> str:
    if found is None:
        return "has not ended"
    if found.status == "running":
        return "is running" + (f" on {found.host}" if found.host else "")
    return f"is {found.status}" + (f": {because(found.refusal)}" if found.refusal else "")
