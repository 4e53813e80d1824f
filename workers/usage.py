"""What the processes below this one use: memory and processor time. Read often, so only they are looked at.

Each of these looks raises OSError where there are no descriptors or no memory to look with.
"""

import os
import resource
import sys
from collections.abc import Iterator
from typing import NamedTuple

import psutil

from workers.short import SHORT


class Usage(NamedTuple):
    """Of all below this process: bytes in memory now, pages that are shared counted for each; milliseconds so far;
    and whether some of it has a processor at this moment, or waits for one."""

    memory: int
    cpu_ms: int
    ready: bool = False


def _asked_for(pid: int) -> list[int]:
    """Its children, where the system keeps no lists of them."""
    try:
        return [each.pid for each in psutil.Process(pid).children()]
    except psutil.Error:
        return []


if sys.platform == "linux":
    _TICK_MS, _PAGE = 1000 / os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    _LISTED = os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # noqa: PTH110  # a kernel may leave them out

    def _of(pid: int) -> Usage:
        """Its own, and the time of its children that have ended."""
        words = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
        if not words:
            return Usage(0, 0)
        return Usage(int(words[21]) * _PAGE, int(sum(map(int, words[11:15])) * _TICK_MS), words[0] == "R")

    def _children(pid: int) -> list[int]:
        """By its threads: each has children of its own."""
        if not _LISTED:
            return _asked_for(pid)
        try:
            threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
        except OSError as error:
            if error.errno in SHORT:
                raise
            return []
        return [int(child) for each in threads for child in _text(f"/proc/{pid}/task/{each}/children").split()]

    def _apart(pid: int) -> int:
        """Bytes of its own, and its part of what it shares."""
        for line in _text(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        return _of(pid).memory

    def _text(path: str) -> str:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                return file.read()
        except OSError as error:
            if error.errno in SHORT:
                raise
            return ""  # it has just ended

else:

    def _of(pid: int) -> Usage:
        try:
            seen = psutil.Process(pid)
            ready = seen.status() == psutil.STATUS_RUNNING
            return Usage(seen.memory_info().rss, int(sum(seen.cpu_times()[:4]) * 1000), ready)
        except psutil.Error:
            return Usage(0, 0)

    _children = _asked_for

    def _apart(pid: int) -> int:
        return _of(pid).memory


def below() -> Usage:
    """What all below this process use now, and the time of those that have ended and were collected."""
    found = [_of(pid) for pid in _descendants()]
    cpu_ms = ended_ms() + sum(each.cpu_ms for each in found)
    return Usage(sum(each.memory for each in found), cpu_ms, any(each.ready for each in found))


def memory_apart() -> int:
    """As `below().memory`, with what several share counted once. Takes longer: for when the other is too much."""
    return sum(_apart(pid) for pid in _descendants())


def ended_ms() -> int:
    """Processor time of all below this process that have ended and were collected."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((ended.ru_utime + ended.ru_stime) * 1000)


def largest() -> int:
    """Bytes of the largest that has ended below this process; 0 where it may have been a copy of this one."""
    ended, own = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    unit = 1 if sys.platform == "darwin" else 1024
    return ended * unit if ended > own else 0


def _descendants() -> Iterator[int]:
    left = _children(os.getpid())
    while left:
        pid = left.pop()
        yield pid
        left += _children(pid)
