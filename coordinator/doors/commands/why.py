"""why: what holds a workspace back."""

import asyncio

import typer

from coordinator.doors.endings import ended, receipt, sentence, way_on, when
from coordinator.doors.failing import bad_input
from coordinator.doors.options import LOOK, Json, Root, Workspace, command
from coordinator.doors.pools import unserved, way_out
from coordinator.doors.printing import emit, say, table
from coordinator.doors.session import Session, opened, question
from coordinator.doors.texts import one_of, thawing
from coordinator.doors.times import ago, ahead, clock
from coordinator.models import Refusal
from coordinator.operations import Explain, GetStatus
from coordinator.operations.explain import Explained


def add(app: typer.Typer) -> None:
    """Register it."""
    command(app, LOOK, "coordinator why core/go-io/task-5")(why)


def why(workspace: Workspace, json: Json = False, root: Root = None) -> None:
    """Why a workspace waits.

    The first limit key that refuses it, who holds that key, and the earliest time where there is one.
    Of one that is blocked, all that its agent asks."""
    asyncio.run(_why(workspace, root, as_json=json))


async def _why(workspace: str, root: str | None, *, as_json: bool) -> None:
    asked = question(Explain, workspace=workspace)
    async with opened(root) as session:
        found, fleet = await asyncio.gather(session.ask(asked), session.ask(GetStatus()))
        if not isinstance(found, Explained):
            raise bad_input(f"there is no workspace {workspace}: see coordinator workspaces")
        anywhere = "@" not in (found.route or "")
        hints = await unserved(session, [found.agent]) if found.status == "queued" and anywhere else []
        if as_json:
            return emit(found, **({"hint": hints[0]} if hints else {}))
        if found.status == "queued":
            _waits(found, hints, fleet.now)
            record = None if anywhere else await ended(session, workspace)
            if record and (out := await way_out(session, record, found.refusal)):
                say(out)
        else:
            await _does_not_wait(session, found, fleet.now)
    return None


def _waits(found: Explained, hints: list[str], now: int) -> None:
    refusal = found.refusal
    place = in_line(found)
    if refusal is None:
        say(f"{found.workspace} is queued{place}: nothing refuses it, a host is being woken for it")
    elif refusal.reason == "no_host" and hints:
        say(f"{found.workspace} is queued{place}: {hints[0]}")
    else:
        say(f"{found.workspace} is queued{place}: {refusal.text}")
        for name, value in _facts(refusal, now):
            say(f"  {name:<10}{value}")
        for hint in hints:
            say(f"  {'and':<10}{hint}")
    if found.deadline:
        left = ahead(found.deadline, now)
        say(f"  {'deadline':<10}{clock(found.deadline)} ({left}): not started by then it has failed")
    if found.keys:
        say("")
        rows = [(view.key, f"{view.used}/{'-' if view.limit is None else view.limit}") for view in found.keys]
        table(("its limit keys, as they are judged", "used"), rows)


def in_line(found: Explained) -> str:
    """Where it stands: `, place 3 of its lane, 2 lanes of codex go first`."""
    place = f", place {found.place} of its lane" if found.place else ""
    if found.lanes_before:
        first = "1 lane goes" if found.lanes_before == 1 else f"{found.lanes_before} lanes go"
        place += f", {first} first on {found.route}"
    if found.aged_to is not None:
        place += f", and waits so long that it goes with priority {found.aged_to}"
    return place


def _facts(refusal: Refusal, now: int) -> list[tuple[str, str]]:
    limit = f" of {refusal.limit}" if refusal.limit is not None else ""
    facts = [("key", f"{refusal.key} ({refusal.reason}{f', {refusal.used}{limit} used' if limit else ''})")]
    if refusal.holders:
        more = f" and {refusal.used - len(refusal.holders)} more" if refusal.used > len(refusal.holders) else ""
        facts.append(("tried by" if refusal.reason == "ramp" else "held by", ", ".join(refusal.holders) + more))
    if refusal.until:
        facts.append(("earliest", f"{clock(refusal.until)} ({ahead(refusal.until, now)})"))
    elif refusal.reason == "frozen":
        facts.append(("until", thawing(refusal.key)))
    elif refusal.reason in ("full", "hosts_full"):
        if refusal.limit:
            opens = "one of them ends"
        elif refusal.reason == "full":
            opens = f"coordinator limits '{one_of(refusal.key)}' 1"
        else:
            opens = "a host has slots: coordinator hosts"
        facts.append(("until", opens))
    return facts


async def _does_not_wait(session: Session, found: Explained, now: int) -> None:
    record = await ended(session, found.workspace)
    if record and (on := way_on(record)):
        say(f"{when(record)}, and asks:")
        for line in [*(record.question or "nothing that is known").splitlines(), *receipt(record)]:
            say(f"  {line}")
        return say(on)
    if found.status != "running":
        say(sentence(record) if record else f"{found.workspace} has {found.status}")
        for line in receipt(record) if record else ():
            say(f"  {line}")
        return None
    since = f" since {ago(record.started_at, now)}" if record and record.started_at else ""
    say(f"{found.workspace} does not wait: it is running{f' on {found.host}' if found.host else ''}{since}")
    if record and record.kill:
        say(f"  it is being ended: asked by {record.kill.by or 'somebody'} {ago(record.kill.at, now)}")
    return None
