"""Waiting until workspaces have ended: woken by the facts, and now and then a look at the keys, which alone count."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable

from coordinator.doors.session import Session
from coordinator.doors.texts import short
from coordinator.doors.times import span
from coordinator.errors import StoreUnavailable
from coordinator.models import Workspace
from coordinator.operations import Explain, GetStatus, Query
from coordinator.operations.explain import Explained
from coordinator.store import Entry

GOOD = frozenset({"completed", "merged", "ready-for-review"})
ENDED = GOOD | {"failed", "blocked"}
LOOK_EVERY = 15.0
"""Seconds between looks at the keys that no fact asked for: facts are trimmed, and a server may lose them."""
_OUTAGE = 60.0  # seconds without Redis before the wait is given up
_TOGETHER = 256  # questions in one round trip

Changed = Callable[[dict[str, Explained]], None]


async def until_ended(
    session: Session, names: Iterable[str], changed: Changed | None = None
) -> AsyncGenerator[tuple[str, Explained | None]]:
    """Each workspace as it has ended; one that does not exist comes at once, with nothing.

    `changed` is called with what still waits or runs, whenever that was looked at.
    """
    pending = dict.fromkeys(names)
    seen: dict[str, Explained] = {}
    after = await session.within(session.store.latest())
    due, looked = list(pending), _now()
    while True:
        # Asked before the names are: what comes back in between is there.
        back = bool(due and seen) and await _may_come_back(session)
        async for name, found in _look(session, due):
            if isinstance(found, Explained) and found.status not in ENDED:
                seen[name] = found
                continue
            if back and name in seen and not isinstance(found, Explained):
                continue
            del pending[name]
            seen.pop(name, None)
            yield name, found if isinstance(found, Explained) else None
        if changed:
            changed(seen)
        if not pending:
            return
        entries, gap = await _facts(session, after)
        after = entries[-1].id if entries else after
        due = [name for name in dict.fromkeys(map(_named, entries)) if name in pending]
        if gap or _now() - looked > LOOK_EVERY:
            due, looked = list(pending), _now()


async def _may_come_back(session: Session) -> bool:
    """Whether the server came back empty, and hosts may yet tell it what they run."""
    status = await session.ask(GetStatus())
    return status.settling is not None or (status.new and status.frozen)


async def ended(session: Session, name: str) -> Workspace | None:
    """The record of one workspace."""
    found = await session.ask(Query(workspace=name))
    return found.workspaces[0] if found.workspaces else None


def sentence(record: Workspace) -> str:
    """How a workspace ended: `core/go-io/task-5 failed after 3m20s on h1: exit code 1`."""
    code = f"exit code {record.exit_code}" if record.exit_code else ""
    why = short(record.question or "") or code if record.status not in GOOD else ""
    details = [detail for detail in (why, record.pr_url) if detail]
    return when(record) + (f": {', '.join(details)}" if details else "")


def when(record: Workspace) -> str:
    """How it ended, without why: `core/go-io/task-5 blocked after 3m20s on h1`."""
    text = f"{record.workspace} {record.status}"
    if record.started_at and record.ended_at and record.ended_at >= record.started_at:
        text += f" after {span(record.ended_at - record.started_at)}"
    return text + (f" on {record.host}" if record.host else "")


def way_on(record: Workspace) -> str | None:
    """What a blocked workspace waits for, as a command; None for one that waits for nobody."""
    if record.status != "blocked":
        return None
    if record.verdict == "lost":
        return f"when its agent is certainly dead: coordinator retry {record.workspace}"
    return f"answer with: coordinator resume {record.workspace} --answer TEXT"


def receipt(record: Workspace) -> list[str]:
    """What the end of its last run found: each process by the signal that ended it, and what its tree had used."""
    found = record.receipt
    if found is None:
        return []
    lines = [f"{'may live' if one.by == 'left' else one.by:<9} {one.pid:>8} {one.command}" for one in found.ended]
    lines += [f"{'':<9} and {found.more} more"] if found.more else []
    used = [f"{found.cpu_ms / 1000:.1f}s of a processor"] if found.cpu_ms is not None else []
    used += [f"{found.peak_memory / (1 << 20):.0f} MiB of memory"] if found.peak_memory else []
    return [*lines, f"{'used':<9} {', at most '.join(used)}"] if used else lines


async def state(session: Session, name: str) -> str:
    """What a workspace is, for a command that changed nothing: `core/go-io/task-5 is completed`."""
    found = await session.ask(Explain(workspace=name))
    if not isinstance(found, Explained):
        return f"there is no workspace {name}"
    return f"{name} is {found.status}" + (": coordinator kill ends it" if found.status == "running" else "")


async def _facts(session: Session, after: str) -> tuple[list[Entry], bool]:
    """The next facts, none after two seconds of silence; and whether Redis was away meanwhile."""
    down = 0.0
    while True:
        try:
            return await session.store.read_events(after, block_ms=2000), bool(down)
        except StoreUnavailable:
            down = down or _now()
            if _now() - down > _OUTAGE:
                raise
            await asyncio.sleep(0.5)


async def _look(session: Session, names: list[str]) -> AsyncGenerator[tuple[str, object]]:
    for at in range(0, len(names), _TOGETHER):
        part = names[at : at + _TOGETHER]
        for name, found in zip(
            part, await asyncio.gather(*(session.ask(Explain(workspace=one)) for one in part)), strict=True
        ):
            yield name, found


def _named(entry: Entry) -> str:
    try:
        return str(json.loads(entry.json).get("workspace", ""))
    except (ValueError, AttributeError):
        return ""


def _now() -> float:
    return asyncio.get_running_loop().time()
