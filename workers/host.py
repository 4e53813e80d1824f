"""This machine: its identity, its lock, and the room it has."""

import contextlib
import fcntl
import hashlib
import os
import platform
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from coordinator.errors import HostTaken
from coordinator.words import HOST

MEMORY_FLOOR: Final = 256 << 20  # bytes that stay free: an agent that starts the kernel's killer ends others too
_UNKNOWN_NEED: Final = 64 << 20  # bytes reckoned for an agent whose runner names no memory


def name() -> str:
    """The machine's own name as a host name; `localhost` when it has none that can be one."""
    node = platform.node().split(".", 1)[0]
    return node if HOST.accepts(node) else "localhost"


def machine() -> str:
    """What tells this machine from another that uses the same host name."""
    try:
        identity = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        identity = str(uuid.getnode())
    return hashlib.sha256(f"{identity}/{platform.node()}".encode()).hexdigest()[:16]


def room(slots: int, need: int | None) -> int:
    """How many of `slots` free slots the free memory bears, each agent reckoned at `need` bytes."""
    spare = psutil.virtual_memory().available - MEMORY_FLOOR
    return max(0, min(slots, spare // (need or _UNKNOWN_NEED)))


@contextlib.contextmanager
def locked(home: Path, host: str) -> Iterator[None]:
    """Be the one worker of this host name here. Getting the lock proves that the one before is dead.

    Raises HostTaken while another process holds it.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise HostTaken(
                f"another worker runs as host {host} here (pid {holder}): stop it, or choose another --host"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
