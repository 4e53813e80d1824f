"""The fork server of one host: forks a guard for every connection, in a millisecond, and outlives the worker.

`python -m workers.forkserver HOME [IDLE_SECONDS]` returns when a server listens on HOME/forkserver.2.sock: a new one in
the background, or the one that was there. It reads no question itself: each guard does, on its own connection. A worker
keeps a connection with a guard that waits; so a server without children has no worker, and after a while it goes.
"""

import contextlib
import fcntl
import functools
import gc
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from workers import orphans, processes
from workers.attend import attend
from workers.bell import Bell, default_signals, nothing
from workers.short import patiently
from workers.slip import SUFFIX, Slip

_KIND = 2  # raised with every change of what a guard is asked: an older server goes on with its guards, and asks none
SOCKET, LOCK, LOG = f"forkserver.{_KIND}.sock", f"forkserver.{_KIND}.lock", "forkserver.log"
_END = {signal.SIGTERM}
_IDLE_S = 1.0
_LEFT_S = 0.1  # the same when somebody has come before: a worker that is there keeps a guard waiting


class ForkServer:
    """Accepts connections, forks guards, and ends what a guard that was killed left behind."""

    def __init__(self, listener: socket.socket, home: Path, idle_s: float) -> None:
        self._listener, self._home, self._idle_s = listener, home, idle_s
        self._children: dict[int, bool] = {}  # and whether it is, or will be, a guard
        self._ended = False
        self._bell = Bell({signal.SIGCHLD: nothing, signal.SIGTERM: self._end})

    def serve(self) -> None:
        """Serve until told to end, or until nobody needs it. Guards go on without it."""
        while not self._ended:
            idle_s = None if self._children else self._idle_s
            ready = select.select([self._listener.fileno(), self._bell.fileno()], [], [], idle_s)[0]
            self._bell.hush()
            self._accept()
            self._collect()
            if not ready and not self._children:
                break
        with contextlib.suppress(FileNotFoundError):  # first the name: whoever connected before still gets a guard
            (self._home / SOCKET).unlink()
        self._accept()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                asker, _ = patiently(self._listener.accept)
                with asker:
                    asker.settimeout(None)
                    self._fork(asker)

    def _fork(self, asker: socket.socket | None, dead_guard: int = 0) -> None:
        try:
            child = os.fork()
        except OSError:  # no room for another process: the asker sees its connection end, and says so
            traceback.print_exc()
            return
        if child:
            self._children[child] = asker is not None
            self._idle_s = min(self._idle_s, _LEFT_S)
            return
        status = 70
        try:
            os.setsid()
            self._bell.take_down()
            self._listener.close()
            if asker:
                attend(asker, self._home)
            else:
                bury(self._home, dead_guard)
            status = 0
        except BaseException:  # noqa: BLE001  # a forked child must never return into the server's own loop
            traceback.print_exc()
        finally:
            os._exit(status)

    def _collect(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (dead := os.waitpid(-1, os.WNOHANG))[0]:
                if self._children.pop(dead[0], False) and dead[1]:
                    self._fork(None, dead[0])

    def _end(self) -> None:
        self._ended = True


def bury(home: Path, dead_guard: int) -> None:
    """See to the end of what a killed guard held, should there be no worker that does."""
    for path in home.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError, ValueError):  # gone, or no slip
            patiently(functools.partial(_bury, path, dead_guard))


def _bury(path: Path, dead_guard: int) -> None:
    with Slip.open(path) as slip:
        held_by = orphans.guard_of(slip)
        if held_by and held_by.pid == dead_guard and not processes.lives(held_by):
            orphans.end_orphans(slip)


def main(arguments: list[str]) -> int:
    """Be, or find, the fork server of a home."""
    home = Path(arguments[0])
    idle_s = float(arguments[1]) if arguments[1:] else _IDLE_S
    os.chdir(home)  # the names below are relative: an absolute one may be too long for a socket
    default_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, _END)  # one that is told to end as it begins removes its socket, too
    with _locked(LOCK) as lock:
        if _answers():
            return 0
        Path(SOCKET).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(SOCKET)
        listener.listen(1024)
        listener.settimeout(0)
        if server := os.fork():
            os.pwrite(lock, f"{server}\n".encode().ljust(16), 0)  # for people
            os._exit(0)
    _detach(home)
    serving = ForkServer(listener, home, idle_s)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _END)
    serving.serve()
    return 0


@contextlib.contextmanager
def _locked(name: str) -> Iterator[int]:
    """Two that start at once: the second waits, and then finds the first one's socket."""
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _answers() -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(SOCKET)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True


def _detach(home: Path) -> None:
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open(home / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for target, source in ((0, null), (1, null), (2, log)):
        os.dup2(source, target)
    os.close(null)
    os.close(log)
    gc.freeze()  # what is shared with the guards stays shared: no collection writes to it


def run() -> NoReturn:
    """Entry of `python -m workers.forkserver`."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
