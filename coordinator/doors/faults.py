"""What the keys say that the records do not, over the whole namespace: to look at, and to mend where it is proved."""

from pathlib import Path

from coordinator.doors.keys import in_order
from coordinator.doors.machine import Wrong, lives_here, of_root
from coordinator.doors.session import Session
from coordinator.doors.times import ahead
from coordinator.errors import CoordinatorError
from coordinator.operations import Faults, GetStatus, Mend, Reap
from coordinator.operations.faults import MOST_KEYS, Fault, FaultsFound
from coordinator.operations.mend import Mended, NotMended

_PASSES = 4  # what is mended may show something else, as a lane that comes back shows its group
_FIX = "coordinator doctor --fix"


async def look(session: Session, root: Path) -> list[Wrong]:
    """All that disagrees: the keys among themselves, then this machine with them. Raises what the server says."""
    status = await session.ask(GetStatus())
    found: dict[tuple[str, str, str], Wrong] = {}
    for fault in await _walk(session):
        one = _wrong(fault, status.now)
        found[one.identity] = one
    return [*found.values(), *await of_root(session, root)]


async def doubt(session: Session, root: Path) -> str:
    """Why nothing can be proved by what is seen now; empty where it can."""
    status = await session.ask(GetStatus())
    if status.settling and status.settling > status.now:
        left = ahead(status.settling, status.now)
        return f"settling: what a host has not told of yet would look lost; at the latest {left} all have"
    if not status.total and (count := await lives_here(root)):
        return (
            f"{count} runs lie below {root} and Redis has no record at all: it lost its memory, or this is "
            "another server or namespace (REDIS_URL, DISPATCH_NAMESPACE)"
        )
    return ""


async def fix(session: Session, wrong: list[Wrong], by: str | None) -> list[tuple[str, str, str]]:
    """Mend what can be; answers which were. Raises CoordinatorError where the server mends nothing."""
    mended: list[tuple[str, str, str]] = []
    for _ in range(_PASSES):
        done = [fault for fault in await _walk(session, mend=True, by=by) if fault.mended]
        mended += [(fault.klass, fault.key, fault.workspace or "") for fault in done]
        if not done:
            break
    return mended + [one.identity for one in wrong if one.mend and one.mend()]


async def tell(session: Session, left: list[Wrong]) -> None:
    """What is left, for `coordinator status`; files of this machine are not among what it counts."""
    await session.ask(Reap(faults=sum(not one.place.startswith("/") for one in left)))


async def _walk(session: Session, *, mend: bool = False, by: str | None = None) -> list[Fault]:
    found: list[Fault] = []
    names = in_order(session.store.root, await session.store.names())
    for at in range(0, len(names), MOST_KEYS):
        keys, cursor, more = names[at : at + MOST_KEYS], None, True
        while more:
            if mend:
                told: FaultsFound | Mended | NotMended = await session.ask(Mend(keys=keys, cursor=cursor, by=by))
            else:
                told = await session.ask(Faults(keys=keys, cursor=cursor))
            if isinstance(told, NotMended):
                raise CoordinatorError(told.refusal.text)
            found += told.found
            cursor = told.cursor
            more = cursor is not None
    return found


def _wrong(fault: Fault, now: int) -> Wrong:
    fix = _FIX
    if not fault.mend:
        fix = f"look at it: HGETALL {fault.key}"
        if fault.until is not None:
            ends = ahead(fault.until, now) if fault.until > now else "soon"
            fix = f"wait until its lease is over, {ends}" + (f"; then {_FIX}" if fault.klass == "leaked" else "")
    return Wrong(fault.klass, fault.key, fault.workspace or "", fault.text, fix)
