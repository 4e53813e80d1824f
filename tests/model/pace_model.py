"""How a pool is paced, in plain Python and in the reference runner's own terms. Times are epoch milliseconds."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from coordinator.operations.apply import Rates

DAY = 86_400_000


@dataclass
class Pace:
    """The rates of one pool and its starts."""

    hour: int = 6
    minute: int = 0
    daily: int = 0
    least: int = 0
    sustained: int = 0
    burst: int = 0
    window: int = 0
    last: int | None = None
    count: int = 0

    def take(self, rates: Rates) -> None:
        """The pool has these rates from now on; its starts stay as they are."""
        hour, _, minute = (rates.reset_utc or "06:00").partition(":")
        self.hour, self.minute = int(hour), int(minute)
        self.daily, self.least, self.sustained = (
            rates.daily_limit or 0,
            rates.min_delay or 0,
            rates.sustained_delay or 0,
        )
        self.burst, self.window = rates.burst_delay or 0, rates.burst_window or 0

    @property
    def paces(self) -> bool:
        return self.daily > 0 or self.sustained > 0

    def reset_before(self, at: int) -> int:
        moment = datetime.fromtimestamp(at / 1000, UTC)
        reset = moment.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        if reset > moment:
            reset -= timedelta(days=1)
        return round(reset.timestamp() * 1000)

    def delay(self, at: int) -> int:
        """How long after the last start the next may come, judged at a moment."""
        if self.sustained == 0:
            return 0
        left = self.reset_before(at) + DAY - at
        burst = self.window > 0 and left <= self.window
        return max(self.burst if burst else self.sustained, self.least)

    def rests(self, at: int) -> bool:
        return self.last is not None and at < self.last + self.delay(at)

    def quota(self, at: int) -> bool:
        return self.daily > 0 and self.count >= self.daily and self.counts(at)

    def counts(self, at: int) -> bool:
        """Whether no reset, at the time it now has, lies between its last start and this moment."""
        return self.last is not None and self.last >= self.reset_before(at)

    def lapsed(self, at: int) -> int:
        """When the reset was that ended its used-up quota; 0 where there was none."""
        if self.last is None or self.counts(at) or not 0 < self.daily <= self.count:
            return 0
        return self.reset_before(self.last) + DAY

    def refuses(self, at: int) -> tuple[str, int] | None:
        """Why nothing starts at a moment, and when it next may."""
        if not self.paces:
            return None
        if self.quota(at):
            return "quota", self.reset_before(at) + DAY
        if not self.rests(at):
            return None
        return "pace", next(edge for edge in self._edges(at) if not self.rests(edge))

    def changes(self, at: int) -> int | None:
        """When the clock next changes the answer of `refuses`, but for the sinking of its quota."""
        if not self.paces:
            return None
        if self.quota(at):
            return self.reset_before(at) + DAY
        return next((edge for edge in self._edges(at) if edge > at and self.rests(edge) != self.rests(at)), None)

    def _edges(self, at: int) -> list[int]:
        """Every moment from now on at which the answer may change, in order."""
        if self.last is None:
            return []
        ends = [self.last + max(self.sustained, self.least), self.last + max(self.burst, self.least)]
        first = self.reset_before(at)
        days = range(2 + (max(*ends, at) - first) // DAY)
        resets = [first + day * DAY for day in days] + [first + (len(days)) * DAY]
        return sorted(edge for edge in (*ends, *resets, *(reset - self.window for reset in resets)) if edge >= at)

    def started(self, at: int) -> None:
        self.count = self.count + 1 if self.counts(at) else 1
        self.last = at
