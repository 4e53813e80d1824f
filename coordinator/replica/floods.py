"""Bounds for what anybody may send: how much of it is acted on, and how many lines are written about it."""

import time
from collections.abc import Callable
from typing import Final

MOST_LINES: Final = 20  # of one kind, before they become rare
RARE: Final = 10.0  # seconds from one such line to the next


class Budget:
    """So many at once, and then so many a second."""

    def __init__(self, burst: int, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._per_second, self._clock = burst, per_second, clock
        self._there, self._at = float(burst), clock()

    @property
    def left(self) -> bool:
        """Whether there is room for one more."""
        now = self._clock()
        self._there = min(self._there + (now - self._at) * self._per_second, self._burst)
        self._at = now
        return self._there >= 1

    def spend(self) -> bool:
        """Take one; False, and nothing taken, where there is none left."""
        if not self.left:
            return False
        self._there -= 1
        return True


class Lines:
    """Which of the lines of one kind are written: the first ones, then one in a while that says how many there were."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._budget = Budget(MOST_LINES, 1 / RARE, clock)
        self.count = 0

    def due(self) -> bool:
        """Count one; whether a line is due for it."""
        self.count += 1
        return self._budget.spend()
