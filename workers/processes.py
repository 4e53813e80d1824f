"""Is this still the process we mean, and how a family of them is stopped and ended.

A process is a pid and a birth, since pids are used again.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import psutil

from workers.run import Ended

_PAUSE_S = 0.001
_LONG_PAUSE_S = 0.05
_STILL_WITHIN_S = 5.0
_KILLED_WITHIN_S = 5.0  # what takes longer stands in the kernel, perhaps for ever


class Identity(NamedTuple):
    """A process that no later one can be taken for; `birth` means nothing but sameness, on one boot of the machine."""

    pid: int
    birth: int


class Process(NamedTuple):
    """A process as it was when looked at."""

    pid: int
    birth: int
    parent: int
    session: int
    state: Literal["moving", "waiting", "stopped", "dead"]  # waiting: in the kernel, where no signal reaches it yet

    @property
    def identity(self) -> Identity:
        """What to know it by later."""
        return Identity(self.pid, self.birth)


Family = Callable[[], list[Process]]  # looks anew at every call; parents stand before their children

if sys.platform == "linux":
    _STATES: dict[bytes, Literal["moving", "waiting", "stopped", "dead"]]
    _STATES = {b"T": "stopped", b"t": "stopped", b"Z": "dead", b"X": "dead", b"D": "waiting"}

    def look(pid: int) -> Process | None:
        """The process with this pid as it is now, also a dead one nobody has collected; None when there is none.

        Its birth is in ticks since the machine started: setting the clock does not change it.
        """
        try:
            words = content(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        except OSError:
            return None
        return Process(pid, int(words[19]), int(words[1]), int(words[3]), _STATES.get(words[0], "moving"))

    def boot() -> str:
        """Names this boot of the machine: after another one no pid means anything."""
        return content("/proc/sys/kernel/random/boot_id").decode().strip()

    def _deliver(process: Identity, number: int) -> None:
        """Through a descriptor of the process, so that a pid used again meanwhile is not hit."""
        descriptor = os.pidfd_open(process.pid)
        try:
            if alive(process):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)

else:

    def look(pid: int) -> Process | None:
        """The process with this pid as it is now; None when there is none. Its birth is its start in microseconds."""
        try:
            seen = psutil.Process(pid)
            with seen.oneshot():
                status = seen.status()
                state = {psutil.STATUS_STOPPED: "stopped", psutil.STATUS_ZOMBIE: "dead"}.get(status, "moving")
                return Process(pid, int(seen.create_time() * 1e6), seen.ppid(), os.getsid(pid), state)
        except (psutil.Error, OSError):
            return None

    def boot() -> str:
        """Nothing here: births are times, and those of another boot are never met again."""
        return ""

    def _deliver(process: Identity, number: int) -> None:
        if alive(process):
            os.kill(process.pid, number)


def content(path: str) -> bytes:
    """All of a file of the kernel's, which has no length before it is read; OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = b""
        while piece := os.read(descriptor, 65536):
            found += piece
        return found
    finally:
        os.close(descriptor)


def alive(process: Identity) -> bool:
    """Whether this very process still lives; one that is dead but not collected does not."""
    seen = look(process.pid)
    return seen is not None and seen.birth == process.birth and seen.state != "dead"


def send(process: Identity, number: int) -> bool:
    """Send a signal; False when the process is gone or is another user's."""
    try:
        _deliver(process, number)
    except OSError:
        return False
    return True


def signal_all(processes: Iterable[Process], number: int) -> None:
    """Send one signal to each, children before their parents."""
    for process in reversed(list(processes)):
        send(process.identity, number)


def still(family: Family) -> None:
    """Stop a whole family: look and stop until twice nothing new appears. What another user owns can not be stopped.

    Twice, because a process that was about to be stopped may have had a child behind the back of the first look.
    """
    told: set[Identity] = set()
    refused: set[Identity] = set()
    quiet, give_up = 0, time.monotonic() + _STILL_WITHIN_S
    while quiet < 2 and time.monotonic() < give_up:
        found = family()
        new = [each for each in found if each.identity not in told and each.state != "stopped"]
        told.update(each.identity for each in new)
        refused.update(each.identity for each in reversed(new) if not send(each.identity, signal.SIGSTOP))
        standing = not new and all(each.state != "moving" or each.identity in refused for each in found)
        quiet = quiet + 1 if standing else 0
        if not standing:
            time.sleep(_PAUSE_S)


def resume(family: Family) -> None:
    """Let a stilled family go on."""
    signal_all(family(), signal.SIGCONT)


def end_family(family: Family, collect: Callable[[], object] = lambda: None) -> tuple[Ended, ...]:
    """Kill a whole family without asking and return when none of it lives; the receipt names all that were found.

    It is stilled first: nothing is left that could start another, or do anything when its parent dies. `collect` is
    called between looks, for the parent of dead ones. What another user owns, or does not die, is named as `left`.
    """
    still(family)
    receipt: dict[Identity, Ended] = {}
    refused: set[Identity] = set()
    pause, give_up = _PAUSE_S, time.monotonic() + _KILLED_WITHIN_S
    while left := [each for each in family() if each.identity not in refused]:
        for process in reversed(left):
            ended = receipt.setdefault(process.identity, Ended(process.pid, command(process.pid), "KILL"))
            told = send(process.identity, signal.SIGKILL)
            if alive(process.identity) and (not told or time.monotonic() > give_up):
                refused.add(process.identity)
                receipt[process.identity] = ended._replace(by="left")
        collect()
        time.sleep(pause)
        pause = min(pause * 1.5, _LONG_PAUSE_S)
    return tuple(receipt.values())


def command(pid: int) -> str:
    """What a process runs, for people: its program and, of an interpreter, its file; empty when it is gone.

    Other arguments may hold a prompt or a secret, and what is answered here goes into logs and to Redis.
    """
    try:
        program, *arguments = psutil.Process(pid).cmdline()
    except (psutil.Error, OSError, ValueError):
        return ""
    files = [one for one in arguments if not one.startswith("-") and "/" in one and os.path.isfile(one)]  # noqa: PTH113
    said = " ".join([program, *files[:1]])[:120] + (" ..." if len(arguments) > len(files[:1]) else "")
    return said.encode(errors="backslashreplace").decode()  # whose bytes are no text could not be told to anybody
