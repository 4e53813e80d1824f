"""Is this still the process we mean, and how a family of them is stopped and ended.

A process is a pid and a birth, since pids are used again. To look at one takes a descriptor and memory: where these are
short nothing is known of it, and it is neither taken for dead nor passed over.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import psutil

from workers.run import Ended
from workers.short import SHORT, wait_where_short

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
        """The process with this pid as it is now, also a dead one nobody has collected; None when there is none, or one
        that this user may not see. OSError where nobody can look just now.

        Its birth is in ticks since the machine started: setting the clock does not change it.
        """
        try:
            words = content(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return None
        return Process(pid, int(words[19]), int(words[1]), int(words[3]), _STATES.get(words[0], "moving"))

    def boot() -> str:
        """Names this boot of the machine: after another one no pid means anything."""
        return content("/proc/sys/kernel/random/boot_id").decode().strip()

    def _deliver(process: Identity, number: int) -> None:
        """Through a descriptor of the process, so that a pid used again meanwhile is not hit."""
        descriptor = os.pidfd_open(process.pid)
        try:
            if lives(process):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)

else:

    def look(pid: int) -> Process | None:
        """The process with this pid as it is now; None when there is none, or one that this user may not see. OSError
        where nobody can look just now. Its birth is its start in microseconds.
        """
        try:
            seen = psutil.Process(pid)
            with seen.oneshot():
                status = seen.status()
                state = {psutil.STATUS_STOPPED: "stopped", psutil.STATUS_ZOMBIE: "dead"}.get(status, "moving")
                return Process(pid, int(seen.create_time() * 1e6), seen.ppid(), os.getsid(pid), state)
        except (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError, PermissionError):
            return None

    def boot() -> str:
        """Nothing here: births are times, and those of another boot are never met again."""
        return ""

    def _deliver(process: Identity, number: int) -> None:
        if lives(process):
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


def lives(process: Identity) -> bool:
    """Whether this very process still lives; one that is dead but not collected does not. OSError as `look`."""
    seen = look(process.pid)
    return seen is not None and seen.birth == process.birth and seen.state != "dead"


def alive(process: Identity) -> bool:
    """Whether it still lives, or may: nobody is taken for dead for want of a descriptor to look with."""
    try:
        return lives(process)
    except OSError:
        return True


def send(process: Identity, number: int) -> bool:
    """Send a signal; False when the process is gone or is another user's. OSError where there was nothing to do it
    with: it may live, and was sent nothing."""
    try:
        _deliver(process, number)
    except OSError as error:
        if error.errno in SHORT:
            raise
        return False
    return True


def signal_all(processes: Iterable[Process], number: int) -> None:
    """Send one signal to each, children before their parents. OSError as `send`: some took it."""
    for process in reversed(list(processes)):
        send(process.identity, number)


def still(family: Family) -> None:
    """Stop a whole family: look and stop until twice nothing new appears. What another user owns can not be stopped.

    Twice, because a process that was about to be stopped may have had a child behind the back of the first look. Time
    in which nobody can look does not count.
    """
    told: set[Identity] = set()
    refused: set[Identity] = set()
    quiet, give_up = 0, time.monotonic() + _STILL_WITHIN_S
    while quiet < 2 and time.monotonic() < give_up:
        try:
            found = family()
            new = [each for each in found if each.identity not in told and each.state != "stopped"]
            for each in reversed(new):
                if not send(each.identity, signal.SIGSTOP):
                    refused.add(each.identity)
                told.add(each.identity)
        except OSError as error:
            wait_where_short(error)
            give_up = time.monotonic() + _STILL_WITHIN_S
            continue
        standing = not new and all(each.state != "moving" or each.identity in refused for each in found)
        quiet = quiet + 1 if standing else 0
        if not standing:
            time.sleep(_PAUSE_S)


def resume(family: Family) -> bool:
    """Let a stilled family go on. False where nobody can look for all of it just now: some may go on, some not."""
    try:
        signal_all(family(), signal.SIGCONT)
    except OSError as error:
        if error.errno not in SHORT:
            raise
        return False
    return True


def end_family(family: Family, collect: Callable[[], object] = lambda: None) -> tuple[Ended, ...]:
    """Kill a whole family without asking and return when none of it lives; the receipt names all that were found.

    It is stilled first: nothing is left that could start another, or do anything when its parent dies. `collect` is
    called between looks, for the parent of dead ones. What another user owns, or does not die, is named as `left`. One
    that nobody can look at just now is waited for: it is not gone.
    """
    still(family)
    receipt: dict[Identity, Ended] = {}
    refused: set[Identity] = set()
    pause, give_up = _PAUSE_S, time.monotonic() + _KILLED_WITHIN_S
    while True:
        try:
            left = [each for each in family() if each.identity not in refused]
            for process in reversed(left):
                ended = receipt.setdefault(process.identity, Ended(process.pid, command(process.pid), "KILL"))
                told = send(process.identity, signal.SIGKILL)
                if lives(process.identity) and (not told or time.monotonic() > give_up):
                    refused.add(process.identity)
                    receipt[process.identity] = ended._replace(by="left")
        except OSError as error:
            wait_where_short(error)
            give_up = time.monotonic() + _KILLED_WITHIN_S
            continue
        if not left:
            return tuple(receipt.values())
        collect()
        time.sleep(pause)
        pause = min(pause * 1.5, _LONG_PAUSE_S)


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
