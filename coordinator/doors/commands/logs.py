"""logs: what an agent wrote, from the workspace's directory on this machine."""

import asyncio
import codecs
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from coordinator.config.settings import Settings
from coordinator.doors.endings import ENDED, ended, sentence
from coordinator.doors.failing import bad_input, refused
from coordinator.doors.options import LOOK, Json, Root, Workspace, command
from coordinator.doors.printing import emit, note
from coordinator.doors.session import Session, opened, question, workspace_root
from coordinator.errors import StoreUnavailable
from coordinator.models import Workspace as Record
from coordinator.operations import Query
from coordinator.words import pool_of

_BLOCK: Final = 64 * 1024  # bytes
_LOOK_EVERY: Final = 0.2  # seconds between looks at a growing file
_ASK_EVERY: Final = 2.0  # seconds between looks at whether the run has ended


def add(app: typer.Typer) -> None:
    """Register it."""
    command(app, LOOK, "coordinator logs core/go-io/task-5 --follow")(logs)


def logs(
    workspace: Workspace,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    json: Json = False,
    root: Root = None,
) -> None:
    """Print what a workspace's agent wrote.

    It lies on the host that runs it; on another machine this says where."""
    asyncio.run(_logs(question(Query, workspace=workspace), root, follow=follow, as_json=json))


async def _logs(asked: Query, root: str | None, *, follow: bool, as_json: bool) -> None:
    name = asked.workspace or ""
    async with opened(root) as session:
        record = await ended(session, name)
        if record is None:
            raise bad_input(f"there is no workspace {name}: see coordinator workspaces")
        try:
            path = log_of(session.settings, root, record)
            while not path.exists():
                if not follow or record.status in ENDED or not _may_come_here(record):
                    raise refused(_absent(record, path))
                await asyncio.sleep(_ASK_EVERY)
                record = await ended(session, name) or record
                path = log_of(session.settings, root, record)
            _doubt(record, path)
            with contextlib.closing(_Log(lambda: log_of(session.settings, root, record))) as log:
                await _copy(session, record, log, follow=follow, as_json=as_json)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise refused(f"{error.filename or 'the log'} can not be read: {error.strerror}") from None


def log_of(settings: Settings, root: str | None, record: Record) -> Path:
    """Where the log of a workspace's agent lies on its host, if that host has the same root as this machine.

    What Redis says of a directory, and what an agent left in its place, must not lead out of the root.
    """
    top = workspace_root(settings, root)
    path = top / (record.dir or record.workspace) / ".meta" / f"agent-{pool_of(record.agent)}.log"
    if path.is_symlink() or not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(top)):
        raise refused(f"{path} leads out of the workspace root {top}: nothing of it is shown")
    return path


class _Log:
    """A log that grows. A run that begins anew puts the last one's aside, and its own has the same name."""

    def __init__(self, find: Callable[[], Path]) -> None:
        self._find = find
        self._path = find()
        self._file = self._path.open("rb")

    def close(self) -> None:
        self._file.close()

    def blocks(self) -> Iterator[bytes]:
        """What was written since the last look."""
        replaced = self._is_replaced()
        yield from self._rest()
        if replaced:
            path = self._find()
            self.close()
            self._file = path.open("rb")
            note("a new run has begun: its log follows")
            yield from self._rest()

    def _is_replaced(self) -> bool:
        try:
            return not os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno()))  # noqa: PTH116  # beside fstat
        except OSError:  # put aside, and the new one not begun
            return False

    def _rest(self) -> Iterator[bytes]:
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0, os.SEEK_END)
            note("this log was too long and lost its middle: what comes now follows, the rest stands in the file")
        while block := self._file.read(_BLOCK):
            yield block


async def _copy(session: Session, record: Record, log: _Log, *, follow: bool, as_json: bool) -> None:
    loop, decoder = asyncio.get_running_loop(), codecs.getincrementaldecoder("utf-8")("replace")
    asked_at = loop.time()
    over = not follow or record.status in ENDED
    while True:
        for block in log.blocks():
            _write(block, record.workspace, decoder if as_json else None)
        if over:
            break
        await asyncio.sleep(_LOOK_EVERY)
        if loop.time() - asked_at > _ASK_EVERY:
            asked_at = loop.time()
            try:
                record = await ended(session, record.workspace) or record
            except StoreUnavailable:
                continue  # the file can be read all the same
            over = record.status in ENDED
    if as_json and (rest := decoder.decode(b"", final=True)):
        emit({"workspace": record.workspace, "text": rest})
    if follow and not as_json:
        note(sentence(record))


def _write(block: bytes, workspace: str, decoder: codecs.IncrementalDecoder | None) -> None:
    """As it is, or decoded: a letter may begin in one block and end in the next."""
    if decoder:
        return emit({"workspace": workspace, "text": decoder.decode(block)})
    sys.stdout.flush()
    sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()
    return None


def _may_come_here(record: Record) -> bool:
    """Whether its log may yet be made: it waits, or its agent is just being started."""
    return record.status in ("queued", "running")


def _absent(record: Record, path: Path) -> str:
    if record.status == "queued" and not record.started_at:
        return f"{record.workspace} has not run yet: coordinator why {record.workspace}"
    where = f"on host {record.host}" if record.host else "on the host that ran it"
    return f"{path} is not on this machine: look for it {where} (another root is given with --root)"


def _doubt(record: Record, path: Path) -> None:
    """The file may be of an earlier run, when the present one is on another machine."""
    if record.status == "running" and record.started_at and path.stat().st_mtime * 1000 < record.started_at - 1000:
        note(f"this log is older than the run that goes on now on host {record.host}")
