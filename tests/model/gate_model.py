"""What stands in the way of a start: limits, gates, freezes, settings."""

from coordinator.operations import Apply, BackOff, Freeze, Limit
from coordinator.operations.apply import Rates
from coordinator.words import pool_of
from tests.model.fleet_model import Fleet, Task
from tests.model.pace_model import Pace


class Gates(Fleet):
    """The verbs that open and shut keys."""

    def freeze(self, ask: Freeze) -> None:
        self.begin()
        self.freezes[ask.key or "*"] = ask.until

    def thaw(self, key: str | None) -> None:
        self.begin()
        self.freezes.pop(key or "*", None)

    def back_off(self, ask: BackOff) -> tuple[int, int]:
        """Until when the gate was and is shut."""
        self.begin()
        was = self.gate(ask.key)
        until = 0 if ask.clear else ask.until if ask.until is not None else self.now + (ask.duration or 0)
        if ask.clear:
            self.failures.pop(ask.key, None)
        self.gates[ask.key] = max(until, was) if ask.at_least else until
        return was, self.gate(ask.key)

    def set_limit(self, ask: Limit) -> int | None:
        """The limit before."""
        self.begin()
        was = self.limits.pop(ask.key, None)
        if not ask.clear and ask.limit is not None:
            self.limits[ask.key] = ask.limit
        return was

    def apply(self, ask: Apply) -> None:
        self.begin()
        if ask.limits is not None:
            self.limits = dict(ask.limits)
        if ask.rates is not None:
            rates = {pool: one.model_dump(exclude_none=True) for pool, one in ask.rates.items()}
            self.rates = {pool: one for pool, one in rates.items() if one}
            for pool in {*self.paces, *rates}:
                self.paces.setdefault(pool, Pace()).take(ask.rates.get(pool, Rates()))
        if ask.weights is not None:
            self.fair.weights = dict(ask.weights)
        if ask.settings:
            self.settings |= {name: value for name, value in ask.settings.model_dump().items() if value is not None}
            self.fair.ageing = self.settings["ageing"]
        self.default_agent = ask.default_agent or self.default_agent

    def count_failure(self, task: Task, status: str, verdict: str | None) -> None:
        """Three fast failures in a row rest the pool for half an hour; every further one does so again."""
        if task.killed or verdict in ("killed", "stopped", "lost"):
            return
        pool = pool_of(task.agent)
        if status != "failed" or self.now - task.started >= 60_000:
            self.failures.pop(pool, None)
            return
        self.failures[pool] = self.failures.get(pool, 0) + 1
        if self.failures[pool] >= 3:
            self.gates[pool] = max(self.gate(pool), self.now + 1_800_000)
