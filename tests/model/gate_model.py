"""What stands in the way of a start: limits, gates, freezes, settings."""

from coordinator.operations import Apply, BackOff, Freeze, Limit
from coordinator.operations.apply import Rates
from tests.model.fleet_model import Fleet, Host, No, Task
from tests.model.pace_model import Pace


class Gates(Fleet):
    """The verbs that open and shut keys."""

    def freeze(self, ask: Freeze) -> None:
        self.begin()
        self.freezes[ask.key or "*"] = ask.until

    def thaw(self, key: str | None) -> None:
        self.begin()
        self.freezes.pop(key or "*", None)
        self.stop_ramp(key or "*")

    def back_off(self, ask: BackOff) -> tuple[int, int]:
        """Until when the gate was and is shut."""
        self.begin()
        was = self.gate(ask.key)
        until = 0 if ask.clear else ask.until if ask.until is not None else self.now + (ask.duration or 0)
        opens = ask.clear or (until <= self.now and not ask.at_least)
        until = max(until, was) if ask.at_least else until
        if ask.clear:
            self.failures.pop(ask.key, None)
        if opens or (until > self.now and until != was):
            self.stop_ramp(ask.key)
            self.gates[ask.key] = until if until > self.now else 0
            self.by_hand.add(ask.key)
        return was, self.gate(ask.key)

    def set_limit(self, ask: Limit) -> int | None:
        """The limit before."""
        self.begin()
        was = self.limits.pop(ask.key, None)
        if not ask.clear and ask.limit is not None:
            self.limits[ask.key] = ask.limit
        self.settle_ramps()
        return was

    def apply(self, ask: Apply) -> None:
        self.begin()
        if ask.limits is not None:
            self.limits = dict(ask.limits)
            self.settle_ramps()
        if ask.accounts is not None:
            self.accounts = {pool: sorted({*names}) for pool, names in ask.accounts.items() if names}
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

    def at_fault(self, task: Task) -> str:
        """What a provider refuses when it refuses a run: its account where the pool has a group, else the pool."""
        pool = task.keys[0]
        return task.held[-1] if task.account and pool in self.accounts else pool

    def count_failure(self, task: Task, status: str, verdict: str | None) -> None:
        """Three fast failures in a row rest the pool for half an hour; every further one does so again."""
        if task.killed or verdict in ("killed", "stopped", "lost"):
            return
        pool = self.at_fault(task)
        if status != "failed" or self.now - task.started >= 60_000:
            if verdict not in ("start_failed", "guard_died"):
                self.failures.pop(pool, None)
            return
        self.failures[pool] = self.failures.get(pool, 0) + 1
        if self.failures[pool] >= 3:
            self.shut(pool, self.now + 1_800_000)

    def refuses_asker(self, asker: str, task: Task) -> No | None:
        """Why an asker may not run a task itself, or None."""
        no, host, held = self.judge(task), self.hosts.get(asker), len(self.held(asker))
        no = no if no and no.key in ("*", task.name) else None
        if no:
            return no
        if task.requires not in (None, asker):
            return No(task.route, "no_host", 0, 0)
        if cold := self.cold(asker):
            return cold
        if host and host.slots is not None and held >= host.slots:
            return No(asker, "hosts_full", held, host.slots)
        return self.judge(task)

    def silent(self, host: Host) -> bool:
        """Whether a host has missed three beats."""
        return self.now - host.beat > 3 * self.settings["beat"]

    def due(self) -> list[Task]:
        """Those whose time or deadline has come, in this order."""
        whens = [(task.not_before if task.awaited else task.start_by, task.name) for task in self.queued()]
        return [
            self.tasks[name]
            for when, name in sorted((when or 0, name) for when, name in whens if when)
            if when <= self.now
        ]

    def come_of_age(self, due: list[Task]) -> None:
        """What a call does of that."""
        for task in due:
            if self.missed(task):
                self.finish(task, "failed")
            else:
                self.stand(task)
