"""Processes of this host that no guard of ours holds: which say what they work on, and when one was born."""

import contextlib

import psutil

from workers import processes


def carriers(name: str) -> dict[int, dict[str, str]]:
    """Pid and environment of all living processes that were started with a variable of this name.

    Those of other users stay unseen where this one has not the right to look.
    """
    found = {}
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            environment = psutil.Process(pid).environ()
            if name in environment:
                found[pid] = environment
    return found


def born(pid: int) -> float | None:
    """When the process with this pid was started (epoch seconds, by this machine's clock); None when none lives."""
    seen = processes.look(pid)
    if seen is None or seen.state == "dead":
        return None
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None
