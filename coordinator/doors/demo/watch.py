"""Watching a demo until something is so; it is given up when nothing happens any more."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from coordinator.doors.demo.members import Members
from coordinator.doors.demo.moment import Moment, look
from coordinator.doors.demo.plans import Plan
from coordinator.doors.demo.screen import Screen
from coordinator.doors.session import Session
from coordinator.errors import WorkerError

_LOOK_EVERY: Final = 0.2  # seconds
_IDLE: Final = 30.0  # seconds in which nothing runs and nothing changes before the demo is given up
_STUCK: Final = (
    60.0  # seconds without a change before the demo's own programs count as stuck; a real agent takes longer
)


@dataclass
class Watch:
    """One demo of `wanted` tasks, and where it is shown."""

    session: Session
    plan: Plan
    team: Members
    screen: Screen
    wanted: int
    began: float = field(default_factory=time.monotonic)

    async def until(self, so: Callable[[Moment], bool]) -> Moment:
        """Look and show until `so`; the last look. Raises WorkerError when a process ended, or nothing happens."""
        changed = time.monotonic()
        before: tuple[str, ...] = ()
        while True:
            moment = await look(self.session, self.plan)
            self.screen.show(moment, self.wanted, time.monotonic() - self.began)
            if so(moment):
                return moment
            self.team.look()
            if moment.statuses != before:
                changed, before = time.monotonic(), moment.statuses
            self._insist(moment, time.monotonic() - changed)
            await asyncio.sleep(_LOOK_EVERY)

    def _insist(self, moment: Moment, unchanged: float) -> None:
        working = math.inf if self.plan.spends else _STUCK
        patience = working if "running" in moment.statuses else _IDLE
        if unchanged > patience:
            why = "; ".join(f"{row.key}: {row.why}" for row in moment.rows if row.why) or "no reason is known"
            raise WorkerError(f"nothing has changed for {patience:.0f}s ({why}): look into {self.team.logs}")
