"""Starting the keeper of an embedded server, after ending what a killed keeper left behind (its locks: keeper.py)."""

import contextlib
import fcntl
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil

from coordinator.embedded import keeper
from coordinator.embedded.server_program import find_program
from coordinator.errors import StoreUnavailable, StoreUnusable

Found = TypeVar("Found")

_POLL = 0.01


def until(look: Callable[[], Found | None], seconds: float, otherwise: str) -> Found:
    """The first true answer; StoreUnavailable with this sentence when none came in time."""
    last = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > last:
            raise StoreUnavailable(otherwise)
        time.sleep(_POLL)
    return found


def take(lock: int, how: int) -> bool:
    """Whether the lock could be had at once."""
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # not unlocked: a child that inherited it keeps the lock


def is_kept(data: Path) -> bool:
    """Whether the server of this directory has a living keeper."""
    try:
        with _opened(data / keeper.DATA, os.O_RDONLY) as lock:
            return not take(lock, fcntl.LOCK_SH)
    except OSError:
        return False


def ensure_kept(data: Path) -> None:
    """Start a keeper when none lives; of several who try at once, the keeper's lock lets one through.

    Raises StoreUnusable when there is no server program, StoreUnavailable when the server does not start.
    """
    with _opened(data / keeper.DATA, os.O_RDONLY) as keeper_lock:
        if take(keeper_lock, fcntl.LOCK_EX):
            with _opened(data / keeper.CONFIG, os.O_RDWR | os.O_CREAT) as server_lock:
                _end_orphan(data, server_lock)
                _start(data, keeper_lock, server_lock)


def is_gone(data: Path) -> bool:
    """Whether keeper and server have ended; a server without a keeper is ended here."""
    with _opened(data / keeper.DATA, os.O_RDONLY) as keeper_lock:
        if not take(keeper_lock, fcntl.LOCK_EX):
            return False
        with _opened(data / keeper.CONFIG, os.O_RDWR | os.O_CREAT) as server_lock:
            _end_orphan(data, server_lock)
            keeper.clear_socket(data)
    return True


def _start(data: Path, keeper_lock: int, server_lock: int) -> None:
    command = [
        sys.executable,
        "-I",
        "-S",
        keeper.__file__,
        str(data),
        find_program(),
        str(keeper_lock),
        str(server_lock),
    ]
    log = data / keeper.LOG
    with (
        _opened(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC) as words,
        subprocess.Popen(
            command,
            pass_fds=[keeper_lock, server_lock],
            cwd="/",
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            bufsize=0,
        ) as starting,
    ):
        assert starting.stdout is not None  # noqa: S101  # a pipe, as asked
        heard, _, _ = select.select([starting.stdout], [], [], keeper.LOADING_MAX + keeper.STOP_MAX)
        said = starting.stdout.read().decode(errors="replace") if heard else "it said nothing"
    if said != "ready":
        raise StoreUnavailable(f"the embedded server did not start: {said or 'its keeper died'}; look into {log}")


def _end_orphan(data: Path, server_lock: int) -> None:
    """End a server whose keeper was killed, known by the locked file it inherited, never by a number written down."""
    for end in (psutil.Process.terminate, psutil.Process.kill):
        if take(server_lock, fcntl.LOCK_EX):
            return
        for orphan in _orphans(data / keeper.CONFIG):
            with contextlib.suppress(psutil.NoSuchProcess):
                end(orphan)
        with contextlib.suppress(StoreUnavailable):
            until(lambda: take(server_lock, fcntl.LOCK_EX), keeper.STOP_MAX, "it still lives")
            return
    raise StoreUnusable(
        f"{data / keeper.CONFIG} is locked by a process that is not its server: find it with lsof and end it"
    )


def _orphans(config: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cmdline()[1:] == [str(config)] and any(
                file.path == str(config) for file in process.open_files()
            ):
                yield process
