"""This machine: its identity, its lock, and the room it has."""

import contextlib
import fcntl
import hashlib
import logging
import os
import platform
import resource
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import psutil

from coordinator.errors import ConfigError, HostTaken, Problem, WorkerError
from coordinator.words import HOST, shown

log = logging.getLogger(__name__)
MEMORY_FLOOR: Final = 256 << 20  # bytes that stay free: an agent that starts the kernel's killer ends others too
DISK_FLOOR: Final = 64 << 20  # bytes that stay free
FILES_FLOOR: Final = 1000  # files that can still be made: a checkout has some hundred
_SLOT_FILES: Final = 3  # a run that is checked out has two pipes of git open and, from Python 3.12 on, git; later one
_OTHER_FILES: Final = 64  # descriptors beside those of the slots
_UNKNOWN_NEED: Final = 64 << 20  # bytes reckoned for an agent whose runner names no memory


def name() -> str:
    """The machine's own name as a host name; `localhost` when it has none that can be one."""
    node = platform.node().split(".", 1)[0]
    return node if HOST.accepts(node) else "localhost"


def machine(root: Path) -> str:
    """What tells this machine, with this root, from another that uses the same host name.

    The root is part of it: the lock that proves an earlier worker dead lies below it.
    """
    try:
        identity = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        identity = str(uuid.getnode())
    return hashlib.sha256(f"{identity}/{platform.node()}/{root.resolve()}".encode()).hexdigest()[:16]


class Room:
    """How many more agents this host bears: by its slots, its memory, and a disk that can be written."""

    def __init__(self, home: Path, slots: int, needs: Iterable[int | None]) -> None:
        """`needs` are the bytes that each runner names; an agent is reckoned at the most of them."""
        self._home, self._slots = home, slots
        self._need = max(filter(None, needs), default=_UNKNOWN_NEED)
        self._trouble = ""

    def free(self, busy: int) -> tuple[int, bool]:
        """Free slots that the host bears now, and whether more were free: then looking again soon is worth it."""
        slots = max(0, self._slots - busy)
        spare, trouble = self._look()
        fits = 0 if trouble else min(slots, spare // self._need)
        return fits, fits < slots

    def trouble(self) -> str:
        """Why no agent could be started here now, whatever it is, in one line; empty when one could."""
        return self._look()[1]

    def _look(self) -> tuple[int, str]:
        """Spare memory in bytes, and what is wrong."""
        try:
            spare, found = _spare(), disk_trouble(self._home)
        except OSError as error:  # no descriptor is left to look with, as endings are reported
            spare, found = 0, f"can not look at memory and disk: {error.strerror}"
        short = f"{(spare + MEMORY_FLOOR) >> 20} MiB of memory are free: an agent is reckoned at {self._need >> 20} MiB"
        if not found and spare < self._need:
            found = f"{short}, and {MEMORY_FLOOR >> 20} MiB stay free"
        if bool(found) != bool(self._trouble):  # its numbers change all the time
            log.warning("takes no work: %s", found) if found else log.info("takes work again")
        self._trouble = found
        return spare, found


def open_files(slots: int) -> None:
    """Have room for the descriptors that each slot may need at once. WorkerError where the system allows too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = _SLOT_FILES * slots + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= need:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
    except (OSError, ValueError):
        raise WorkerError(
            f"{hard} files may be open here and --slots {slots} needs {need}: raise ulimit -n, or lower --slots"
        ) from None


def _spare() -> int:
    return psutil.virtual_memory().available - MEMORY_FLOOR


def disk_trouble(home: Path) -> str:
    """Why no agent could be started here, whatever it is; empty when one could. Such a host must not eat the queue."""
    if not os.access(home, os.W_OK | os.X_OK):
        return f"{shown(str(home))} is gone or can not be written"
    disk = os.statvfs(home)
    if (free := disk.f_bavail * disk.f_frsize) < DISK_FLOOR:
        return f"the disk of {shown(str(home))} has {free >> 20} MiB left"
    if disk.f_files and disk.f_favail < FILES_FLOOR:  # some disks count none: they make room for them as they need it
        return f"the disk of {shown(str(home))} has room for {disk.f_favail} files more"
    return ""


class Lock:
    """The lock of a host name on this machine. Having it proves that the worker before is dead."""

    def __init__(self, home: Path, host: str) -> None:
        self._path, self._host = home / "lock", host
        self._file = self._taken()

    def keep(self) -> None:
        """Take it anew where somebody has removed its file; HostTaken when another process has it by now."""
        with contextlib.suppress(OSError):
            if os.path.samestat(self._path.stat(), os.fstat(self._file)):
                return
        with contextlib.suppress(OSError):  # its directory is gone, too: that is told as trouble
            taken = self._taken()
            self.close()
            self._file = taken

    def close(self) -> None:
        """Let it go."""
        os.close(self._file)

    def _taken(self) -> int:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise HostTaken(
                f"another worker runs as host {self._host} here (pid {holder}): stop it, or choose another --host"
            ) from None
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        except OSError:  # a full disk; kept open it would keep us ourselves from trying again
            os.close(descriptor)
            raise
        return descriptor


@contextlib.contextmanager
def locked(home: Path, host: str) -> Iterator[Lock]:
    """Be the one worker of this host name here. Raises HostTaken while another process is, ConfigError as `look_at`."""
    with _usable(home):
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        taken = Lock(home, host)
    with contextlib.closing(taken) as lock:
        yield lock


def look_at(path: Path) -> None:
    """ConfigError where nothing of a host can be. One that is missing is not made."""
    with _usable(path), contextlib.suppress(FileNotFoundError):
        path.stat()


@contextlib.contextmanager
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"this host can not use it ({error.strerror})"
        place = str(error.filename or path)
        raise ConfigError([Problem(place, problem, "mend that, or choose another --root")]) from None
