"""What a guard sees of its run while that goes on: memory, output, and whether anything happens at all."""

import contextlib
import time
from collections.abc import Iterator
from typing import Final

from workers import usage
from workers.changes import changed_since
from workers.clock import awake_ms
from workers.output import Output
from workers.run import Reason, Run
from workers.short import at_once

_EVERY_MS: Final = 1000  # between looks; a limit that is near is looked at more often
_CLOSE_MS: Final = 100
_A_BIT_S: Final = 0.05  # of looking for changed files, before the guard looks at the lease again
_IDLE: Final = 0.01  # of a processor: programs that wait for an answer use a little

Found = tuple[Reason, str]
"""Why the run must end, and the sentence for people."""


class Watch:
    """Watches one run. `look` may be called at any time; it looks when that is due."""

    def __init__(self, run: Run, output: Output) -> None:
        self._run, self._output = run, output
        self._peak, self._written, self._due_ms = 0, output.written(), awake_ms() + _CLOSE_MS  # now it is hardly there
        self._changes: Iterator[bool] | None = None
        self.begin()

    def begin(self) -> None:
        """The tree runs from now on: only this counts as time in which nothing happens."""
        used = at_once(usage.below)
        self._since_ms, self._since, self._cpu_ms = awake_ms(), time.time(), used.cpu_ms if used else 0
        self._changes = None

    def wait_ms(self) -> int:
        """Milliseconds until the next look is due."""
        return max(0, self._due_ms - awake_ms())

    def look(self) -> Found | None:
        """Look, where that is due. Nobody is to end for what can not be looked at for want of descriptors or memory."""
        if self.wait_ms():
            return None
        self._due_ms = awake_ms() + _EVERY_MS
        return at_once(self._look)

    def _look(self) -> Found | None:
        used = self.sample()
        return self._memory(used.memory) or self._size() or self._stalled(used)

    def sample(self) -> usage.Usage:
        """What the tree uses now; the most memory is remembered. OSError where nobody can look."""
        used = usage.below()
        self._peak = max(self._peak, used.memory)
        return used

    def ended(self) -> tuple[int, int | None]:
        """All have ended: their log is made as short as it may be. Milliseconds of processor time, and the most bytes
        of memory (None: nobody saw any)."""
        self._cut()
        return usage.ended_ms(), max(self._peak, usage.largest()) or None

    def _soon(self) -> None:
        self._due_ms = awake_ms() + _CLOSE_MS

    def _memory(self, memory: int) -> Found | None:
        most = self._run.memory_max
        if most is None:
            return None
        self._soon()
        if memory <= most or (memory := usage.memory_apart()) <= most:
            return None
        return "memory", f"Agent used {_megabytes(memory)} of memory, more than its {_megabytes(most)}"

    def _size(self) -> Found | None:
        written, before = self._output.written(), self._written
        self._written = written
        if written != before:
            self.begin()
        most, size = self._run.log_max, self._output.size()
        if most is None:
            return None
        if size + 4 * (written - before) > most:  # four such looks and it is full
            self._soon()
        self._cut()
        if size > most and self._run.log_full_ends:
            return "output", f"Agent wrote {_megabytes(size)} of output, more than its {_megabytes(most)}"
        return None

    def _cut(self) -> None:
        most = self._run.log_max
        if most is not None and self._output.size() > most:
            with contextlib.suppress(OSError):  # a full disk: what was cut off is free now
                self._output.cut(most)

    def _stalled(self, used: usage.Usage) -> Found | None:
        most = self._run.stalled_ms
        if most is None:
            return None
        idle_ms = awake_ms() - self._since_ms
        if idle_ms < most:
            self._due_ms = min(self._due_ms, awake_ms() + most - idle_ms)
        elif self._worked(used, idle_ms) or self._clock_went_back() or self._changed():
            self.begin()
        elif self._changes is None:
            return "stalled", f"Agent did nothing for {idle_ms / 1000:.0f}s: no output, no work, no changed file"
        else:
            self._due_ms = 0  # there is more to look at
        return None

    def _worked(self, used: usage.Usage, idle_ms: int) -> bool:
        """Also where it would, if others left it a processor."""
        return used.ready or used.cpu_ms - self._cpu_ms > _IDLE * idle_ms

    def _clock_went_back(self) -> bool:
        """Then no file that has changed since looks like it."""
        return time.time() < self._since

    def _changed(self) -> bool:
        """Whether a file has changed, as far as was looked; when all was, no more changes are to be looked for."""
        self._changes = self._changes or changed_since(self._run.cwd, self._since)
        until = time.monotonic() + _A_BIT_S
        for changed in self._changes:
            if changed:
                return True
            if time.monotonic() > until:
                return False
        self._changes = None
        return False


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
