"""What runs and lies on this machine, compared with the registry: what nobody owns, runs twice, or is not known."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from coordinator.doors.session import Session
from coordinator.errors import WorkerError
from coordinator.models import Workspace as Record
from coordinator.operations import Hosts, Query
from coordinator.operations.faults import FaultClass
from coordinator.replica.running import running
from workers.census import Piece, census, clear, end_stale
from workers.host import machine
from workers.workspace import Workspace

Records = dict[str, Record]
_START = "start a worker of this root: without one this may be another fleet's registry"


class Wrong(NamedTuple):
    """One disagreement, where it is, and what to do; `mend` does it, where it is proved, and answers whether it did."""

    klass: FaultClass
    place: str
    workspace: str
    text: str
    fix: str
    mend: Callable[[], bool] | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes it the same one in another look."""
        return self.klass, self.place, self.workspace


async def of_root(session: Session, root: Path) -> list[Wrong]:
    """What two looks have found, one after the other: what one finds may be on its way."""
    first = {one.identity for one in await _looked(session, root)}
    return [one for one in await _looked(session, root) if one.identity in first] if first else []


async def lives_here(root: Path) -> int:
    """How many runs, and files of runs that have ended and are not reported, are below the root."""
    return sum(piece.kind in ("run", "slip") for piece in await asyncio.to_thread(census, root))


async def _looked(session: Session, root: Path) -> list[Wrong]:
    pieces = await asyncio.to_thread(census, root)
    records = {run.workspace: run async for run in running(session.store)}
    names = sorted({piece.workspace for piece in pieces if piece.workspace} - records.keys())
    for at in range(0, len(names), 64):  # asked in one gather: one trip
        told = await asyncio.gather(*(session.ask(Query(workspace=name)) for name in names[at : at + 64]))
        records |= {found.workspaces[0].workspace: found.workspaces[0] for found in told if found.workspaces}
    found = [*_of_pieces(pieces, records, root), *_of_records(pieces, records)]
    here = await asyncio.to_thread(machine, root)
    if any(host.machine == here for host in (await session.ask(Hosts())).hosts):
        return found
    # Another fleet's registry may know the same names, and newer tokens: nothing of this root is proved by it.
    return [one._replace(mend=None, fix=_START) if one.mend else one for one in found]


def _of_pieces(pieces: list[Piece], records: Records, root: Path) -> Iterator[Wrong]:
    hosts = {piece.host for piece in pieces if piece.kind == "host"}
    newest: dict[str, int] = {}
    for piece in pieces:
        if piece.kind == "run":
            newest[piece.workspace] = max(newest.get(piece.workspace, 0), piece.token or 0)
    many = Counter(piece.workspace for piece in pieces if piece.kind == "run")
    for piece in pieces:
        record = records.get(piece.workspace)
        of_it = record is not None and record.status == "running" and record.token == piece.token
        match piece.kind:
            case "run" if not of_it:
                twice = many[piece.workspace] > 1 and piece.token != newest[piece.workspace]
                yield _of_run(piece, record, twice or (record is not None and record.status == "running"))
            case "slip" if not piece.worked:
                yield _of_slip(piece, record)
            case "note":
                yield _wrong("leaked", piece, "the note of a run that never began", "coordinator doctor --fix", clear)
            case "leftover":
                pids = " ".join(map(str, piece.pids))
                text = f"{pids} live with the mark of run {piece.token}, which has no guard any more"
                yield _wrong("orphaned", piece, text, f"look at them, then: kill {pids}")
            case "stranger" if record is None or record.status != "running" or record.mode == "pull":
                pids = " ".join(map(str, piece.pids))
                says = _says(record)
                text = f"{pids} say that they work there, under no guard: {says}"
                yield _wrong("doubled" if says.startswith("it runs") else "orphaned", piece, text,
                             "coordinator hydrate, or end them")  # fmt: skip
            case "file" if record is None or record.status != "queued":
                yield _of_file(piece, record, root, hosts)


def _of_run(piece: Piece, record: Record | None, twice: bool) -> Wrong:
    text = f"run {piece.token} lives on {piece.host}: {_says(record)}"
    if record and record.token and record.token > (piece.token or 0):
        return _wrong("doubled" if twice else "orphaned", piece, text, "coordinator doctor --fix", end_stale)
    fix = "the next beat of its worker tells of it, or ends it" if piece.worked else f"worker run --host {piece.host}"
    return _wrong("doubled" if twice else "orphaned", piece, text, fix)


def _of_slip(piece: Piece, record: Record | None) -> Wrong:
    known, token = (record and record.token) or 0, piece.token or 0
    if known < token or (record and record.status == "running" and known == token):
        text = f"the agent of run {token} has ended, and no worker has told of it"
        return _wrong("orphaned", piece, text, f"worker run --host {piece.host}")
    return _wrong("leaked", piece, "a run that has ended, and is not the last of it", "coordinator doctor --fix", clear)


def _of_file(piece: Piece, record: Record | None, root: Path, hosts: set[str]) -> Wrong:
    text = f"says that it runs, and nothing does: {_says(record)}"
    if record is None or (record.status != "running" and record.ran_on not in hosts):
        return _wrong("orphaned", piece, text, "coordinator hydrate")
    if record.status == "running":
        return _wrong("orphaned", piece, text, "nothing: its next run here writes it, or its lease ends")

    def write(_: Piece) -> bool:
        try:
            said = {"status": record.status, "question": record.question, "pid": None}
            Workspace(root, record.workspace, record.dir).write(said)
        except WorkerError:
            return False
        return True

    return _wrong("orphaned", piece, text, "coordinator doctor --fix", write)


def _of_records(pieces: list[Piece], records: Records) -> Iterator[Wrong]:
    """Runs of hosts of this root that have no worker here, and nothing of the run either."""
    here = {(piece.workspace, piece.host) for piece in pieces}
    idle = {piece.host for piece in pieces if piece.kind == "host" and not piece.worked}
    for record in records.values():
        mine = record.status == "running" and record.mode == "pull" and record.host in idle
        if mine and (record.workspace, record.host) not in here:
            text = f"run {record.token} is {record.host}'s, which has nothing of it and no worker"
            fix = f"worker run --host {record.host}; else it waits again when its lease is over"
            yield Wrong("orphaned", f"held:{record.host}", record.workspace, text, fix)


def _wrong(klass: FaultClass, piece: Piece, text: str, fix: str, mend: Callable[[Piece], bool] | None = None) -> Wrong:
    return Wrong(klass, str(piece.place), piece.workspace, text, fix, (lambda: mend(piece)) if mend else None)


def _says(record: Record | None) -> str:
    if record is None:
        return "Redis knows nothing of it"
    if record.status == "running":
        return f"it runs on {record.host} as {record.token}"
    return f"it is {record.status}"
