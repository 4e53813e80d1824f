"""What stands in the way of a start: limits, gates, freezes, settings."""

from coordinator.operations import Apply, BackOff, Freeze, Limit
from coordinator.operations.apply import Applied, Rates
from tests.model import applied
from tests.model.fleet_model import Fleet
from tests.model.pace_model import Pace
from tests.model.task_model import Host, No, Signed, Task


class Gates(Fleet):
    """The verbs that open and shut keys."""

    def freeze(self, ask: Freeze) -> None:
        self.begin()
        self.sign(ask.key or "*", ask.until, ask.by, ask.reason)

    def sign(self, key: str, until: int | None, by: str | None, reason: str | None) -> None:
        self.freezes[key], self.signed[key] = until, Signed(by, reason, self.now)

    def thaw(self, key: str | None) -> None:
        self.begin()
        self.blind = 0
        self._thaw(key or "*")
        self.stop_ramp(key or "*")

    def _thaw(self, key: str) -> None:
        self.freezes.pop(key, None)
        self.signed.pop(key, None)

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
            self.whys[ask.key] = " ".join([*filter(None, [ask.reason]), *([f"by {ask.by}"] if ask.by else [])]) or None
            self.by_hand.add(ask.key)
        return was, self.gate(ask.key)

    def set_limit(self, ask: Limit) -> int | None:
        """The limit before."""
        self.begin()
        was, self.blind = self.limits.pop(ask.key, None), 0
        if not ask.clear and ask.limit is not None:
            self.limits[ask.key] = ask.limit
        self.settle_ramps()
        return was

    def apply(self, ask: Apply, answer: Applied) -> None:
        """What the answer says was a part of it, or all of it."""
        self.begin()
        if ask.if_new and self.configured and not (ask.hosts is not None and self.blind):
            assert not answer.changes, f"there is a configuration, and {answer} changed it"
            assert not answer.more
            return
        self._configure(ask, answer)
        if answer.more:
            return
        self.configured, self.blind = True, self.epoch if ask.if_new and ask.hosts is None else 0
        if ask.hosts is not None:
            self.expect(ask.hosts)
        if ask.thaw and "*" in self.freezes and self._is_nobodys(ask.hosts is not None):
            self._thaw("*")

    def _is_nobodys(self, knows_hosts: bool) -> bool:
        """Whether nobody has frozen the fleet, but one who tells of runs to whoever knows of more."""
        signed = self.signed.get("*")
        return not signed or (knows_hosts and signed.by == "restore")

    def _configure(self, ask: Apply, answer: Applied) -> None:
        if ask.limits is not None:
            before, asked = dict(self.limits), ask.limits
            self.limits = applied.part(answer, "limits", before, asked)
            for key in {*before, *asked, *self.limits}:
                was, shall = applied.in_force(before, key), applied.in_force(asked, key)
                assert applied.in_force(self.limits, key) <= max(was, shall), f"{key} may run too much in between"
            self.settle_ramps()
        if ask.accounts is not None:
            accounts = {pool: sorted({*names}) for pool, names in ask.accounts.items() if names}
            self.accounts = applied.part(answer, "accounts", self.accounts, accounts)
        if ask.rates is not None:
            rates = {pool: one.model_dump(exclude_none=True) for pool, one in ask.rates.items()}
            self.rates = applied.part(answer, "rates", self.rates, {pool: one for pool, one in rates.items() if one})
            for pool in {*self.paces, *rates}:
                self.paces.setdefault(pool, Pace()).take(Rates.model_validate(self.rates.get(pool, {})))
        if ask.weights is not None:
            self.fair.weights = applied.part(answer, "weights", self.fair.weights, ask.weights)
        was = self.settings["lease_ttl"]
        if ask.settings:
            self.own |= {name: value for name, value in ask.settings.model_dump().items() if value is not None}
            self.settings |= self.own
            self.fair.ageing = self.settings["ageing"]
        if self.settings["lease_ttl"] != was and "*" in self.expected and self.settling > self.now:
            self.settling = self.now + self.settings["lease_ttl"]
        self.named_agent = ask.default_agent or self.named_agent
        self.default_agent = self.named_agent or self.default_agent

    def at_fault(self, task: Task) -> str:
        """What a provider refuses when it refuses a run: its account where the pool has a group, else the pool."""
        pool = task.keys[0]
        return task.held[-1] if task.account and pool in self.accounts else pool

    def count_failure(self, task: Task, status: str, verdict: str | None, *, quick: bool) -> None:
        """Three fast failures in a row rest the pool for half an hour; every further one does so again."""
        if task.killed or verdict in ("killed", "stopped", "lost"):
            return
        pool = self.at_fault(task)
        if status != "failed" or not quick:
            if verdict not in ("start_failed", "guard_died"):
                self.failures.pop(pool, None)
            return
        self.failures[pool] = self.failures.get(pool, 0) + 1
        if self.failures[pool] >= 3:
            why = f"{self.failures[pool]} failures in a row within a minute of starting by {task.host}"
            self.shut(pool, self.now + 1_800_000, why)

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
        if host and (host.quiet or (host.slots is not None and held >= host.slots)):
            return No(asker, "hosts_full", held, held if host.slots is None else host.slots)
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
