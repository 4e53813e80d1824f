"""How a key goes on after its gate has opened, in plain Python. Times are epoch milliseconds."""

from dataclasses import dataclass, field, replace
from hashlib import sha1

from tests.model.world import ROOT

MINUTE = 60_000
HOUR = 3_600_000
SPREAD = 2_000
MOST = 64


def wait(key: str, since: int, allowance: int) -> int:
    """How long after what begins a step its first start waits."""
    return int(sha1(f"{ROOT} {key} {since} {allowance}".encode()).hexdigest()[:8], 16) % SPREAD


@dataclass
class Ramp:
    """One step: so many may start, so many have; `trial` holds when each of them will have held."""

    key: str
    since: int  # the end of the gate
    allowance: int
    granted: int
    opens: int
    trial: dict[str, int] = field(default_factory=dict)

    @classmethod
    def begin(cls, key: str, since: int) -> "Ramp":
        return cls(key, since, 1, 0, since + wait(key, since, 1))

    @classmethod
    def read(cls, key: str, text: str) -> "Ramp":
        """A row as the library writes it."""
        allowance, granted, opens, since, *trial = text.split()
        named = (one.rpartition("=") for one in trial)
        times = {name: int(minute) for name, _, minute in named}
        return cls(key, int(since), int(allowance), int(granted), int(opens), times)

    def _after(self, moment: int) -> "Ramp":
        more = self.allowance * 2
        return Ramp(self.key, self.since, more, 0, moment + wait(self.key, self.since, more))

    @property
    def _holds(self) -> int:
        """When all that were granted in this step will have held."""
        return max(self.trial.values(), default=0)

    @property
    def _ends(self) -> int:
        """When it is over where nobody uses the key: never later than that of a gate which ended later."""
        return max((self.opens if self.allowance > 1 else self.since) + HOUR, self._holds)

    def _is_over(self, limit: int | None) -> bool:
        return self.allowance > 1 and self.allowance > min(MOST, MOST if limit is None else limit)

    def at(self, now: int, limit: int | None) -> "Ramp | None":
        """What the clock has made of it."""
        whole = self.granted == self.allowance and self._holds <= now
        this = self._after(self._holds or self.opens) if whole else self
        return None if this._is_over(limit) or now >= this._ends else this

    def until(self, now: int, limit: int | None) -> int | None:
        """Until when the clock keeps the key shut; None when one may start."""
        if self.opens > now:
            return self.opens
        if self.granted < self.allowance:
            return None
        after = self._after(self._holds)
        return self._holds if after._is_over(limit) else after.opens

    def changes(self, now: int, limit: int | None) -> int:
        """When the clock next changes what it says."""
        return self.until(now, limit) or self._ends

    def start(self, name: str, holds: int) -> None:
        self.granted += 1
        self.trial[name] = holds

    def end(self, name: str, now: int, limit: int | None, *, by_itself: bool) -> "Ramp | None":
        """One that is on trial has ended."""
        holds = self.trial.pop(name)
        if by_itself and self.granted == self.allowance and self._holds <= now:
            after = self._after(max(min(holds, now), self._holds))
            return None if after._is_over(limit) else after
        if holds > now and not by_itself:
            return replace(self, granted=self.granted - 1)
        return self
