"""Finding the processes that a test left behind: its children, and what it started that is nobody's child any more."""

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

MARK = "DISPATCH_TEST_PROCESS"
"""In the environment of a test process, and so of all that it starts: the test process's own id."""


def mark() -> None:
    os.environ[MARK] = str(os.getpid())


def leftovers(basetemp: Path, known: Iterable[int]) -> list[psutil.Process]:
    """Live processes that are our children, carry our mark, or work in a directory of our tests; none of the known."""
    ours = {child.pid for child in psutil.Process().children(recursive=True)}
    known = {os.getpid(), *known}
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in known and (process.pid in ours or _is_ours(process, basetemp)) and _lives(process)
    ]


def end(processes: Iterable[psutil.Process]) -> Iterator[str]:
    """Kill them, and say what they were."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            yield f"{process.pid} {' '.join(process.cmdline())}"
            process.send_signal(signal.SIGKILL)


def _is_ours(process: psutil.Process, basetemp: Path) -> bool:
    try:
        return process.environ().get(MARK) == str(os.getpid()) or Path(process.cwd()).is_relative_to(basetemp)
    except psutil.Error:
        return False


def _lives(process: psutil.Process) -> bool:
    """A zombie is dead; only its parent has not looked yet."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "multiprocessing" not in " ".join(process.cmdline())
    except psutil.Error:
        return False
