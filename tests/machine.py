"""All processes of one host at once, as a power cut or a closed lid meets them: worker, fork server, guards, agents."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from workers.slip import MARK, SUFFIX, Slip, State


class Machine:
    """What runs on the host of a worker that keeps its guards below `root`."""

    def __init__(self, root: Path, host: str, worker: int) -> None:
        self.runs = root / ".hosts" / host / "runs"
        self.worker = worker

    def agents(self) -> list[psutil.Process]:
        """Every process that some run of this host's guards started."""
        mark = f"{self.runs}/"
        return [each for each in psutil.process_iter() if _environ(each).get(MARK, "").startswith(mark)]

    def guards(self) -> list[psutil.Process]:
        """The fork server and the guards: they look alike."""
        wanted = ["workers.forkserver", str(self.runs)]
        return [each for each in psutil.process_iter() if _command(each)[-2:] == wanted]

    def all(self) -> list[psutil.Process]:
        """Agents first, then what watches over them: for a stop the other way round."""
        return [*self.agents(), *self.guards(), psutil.Process(self.worker)]

    def send(self, number: signal.Signals, processes: Iterable[psutil.Process]) -> int:
        """To each, as close together as can be; returns when that was done (monotonic ns)."""
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
        return time.monotonic_ns()

    def stop(self) -> list[psutil.Process]:
        """Nothing of it moves any more: what it had begun meanwhile is stopped too. Returns all of it."""
        stopped: dict[int, psutil.Process] = {}
        while more := [each for each in reversed(self.all()) if each.pid not in stopped]:
            self.send(signal.SIGSTOP, more)
            stopped |= {each.pid: each for each in more}
        return [stopped[pid] for pid in reversed(stopped)]

    def power_cut(self) -> None:
        """All of it is gone at once. What stands still can neither go on nor see the others go."""
        self.send(signal.SIGKILL, self.stop())

    def states(self) -> list[tuple[State, int, int]]:
        """Of each run what its tree does, since when, and the end of its lease (boot clock, ms)."""
        return list(self._states())

    def doing(self) -> list[State]:
        """Of each run what its tree does."""
        return [state for state, _, _ in self.states()]

    def _states(self) -> Iterator[tuple[State, int, int]]:
        for path in self.runs.glob(f"*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError), Slip.open(path) as slip:
                yield *slip.state(), slip.deadline_ms() or 0


def lives(process: psutil.Process) -> bool:
    """Whether it moves, or may go on: not one that nobody has collected yet."""
    with contextlib.suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def stands(process: psutil.Process) -> bool:
    """Whether it is stopped, or gone."""
    with contextlib.suppress(psutil.Error):
        return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    return True


def _command(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def _environ(process: psutil.Process) -> dict[str, str]:
    with contextlib.suppress(psutil.Error):
        return process.environ()
    return {}
