"""Which processes belong to one run.

One does when we wrote down its pid and its birth, when it descends from such a one, when the leader of its session is
one, or when its environment carries our marker. Nothing else is touched.

Each of these looks raises OSError where there are no descriptors or no memory to look with: a family of which one was
passed over would seem to have ended.
"""

import os
import sys

import psutil

from workers.processes import Identity, Process, content, look
from workers.short import SHORT

if sys.platform == "linux":

    def _carries(pid: int, marker: str) -> bool:
        """Reads the bytes as they are: a dictionary of each environment on the host would cost three times as much."""
        try:
            return marker.encode() in content(f"/proc/{pid}/environ").split(b"\0")
        except OSError as error:
            if error.errno in SHORT:
                raise
            return False

    def _children(pid: int) -> list[int]:
        """As the kernel lists them, by the thread that started each; empty where it keeps no such lists."""
        try:
            with os.scandir(f"/proc/{pid}/task") as tasks:
                return [int(child) for task in tasks for child in content(f"{task.path}/children").split()]
        except OSError as error:
            if error.errno in SHORT:
                raise
            return []

else:

    def _carries(pid: int, marker: str) -> bool:
        name, _, value = marker.partition("=")
        try:
            return psutil.Process(pid).environ().get(name) == value
        except (psutil.Error, OSError):
            return False

    def _children(_pid: int) -> list[int]:
        return []


def below(root: int) -> list[Process]:
    """What lives and descends from a process, parents before children: found at once, however many the host runs.

    Empty where the system keeps no lists of children. What has left that tree only `tree` finds.
    """
    found: list[Process] = []
    left = [root]
    for pid in left:
        children = [process for process in map(look, _children(pid)) if process and process.state != "dead"]
        found += children
        left += [process.pid for process in children]
    return found


def marked(marker: str) -> list[Process]:
    """All living processes, anywhere, whose environment held `marker` (NAME=value) when they were started."""
    found = [look(pid) for pid in psutil.pids() if pid != os.getpid() and _carries(pid, marker)]
    return [process for process in found if process and process.state != "dead"]


def tree(marker: str, *roots: Identity) -> list[Process]:
    """All living processes that are provably of one run, parents before children, the caller left out.

    Those of `roots` that still live, what descends from them or is in a session one of them leads, and all marked ones.
    """
    seen = {process.pid: process for process in map(look, psutil.pids()) if process}
    carriers = {process.pid: process for process in marked(marker)}
    seen |= carriers
    ours = [root.pid for root in roots if (found := seen.get(root.pid)) and found.birth == root.birth]
    ours += [pid for pid in carriers if pid not in ours]
    return _inherited(ours, seen)


def _inherited(roots: list[int], seen: dict[int, Process]) -> list[Process]:
    """`roots` and all below them, parents before children."""
    found = dict.fromkeys(roots)
    grown = -1
    while grown != len(found):
        grown = len(found)
        found |= {pid: None for pid, each in seen.items() if each.parent in found or each.session in found}
    depth = {pid: _depth(pid, seen, found) for pid in found}
    return [
        seen[pid] for pid in sorted(depth, key=depth.__getitem__) if seen[pid].state != "dead" and pid != os.getpid()
    ]


def _depth(pid: int, seen: dict[int, Process], found: dict[int, None]) -> int:
    depth = 0
    while (pid := seen[pid].parent) in found and depth < len(found):
        depth += 1
    return depth
