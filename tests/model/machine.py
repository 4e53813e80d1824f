"""The state machine: every verb in any order, from hosts that come, crash, lose pokes and repeat themselves."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from coordinator import operations as ops
from coordinator.models import Held
from coordinator.operations.claim import Asking
from coordinator.operations.complete import Ending
from tests.model import choices as some
from tests.model.driver import Driver
from tests.model.world import World


class FleetMachine(RuleBasedStateMachine):
    """A subclass says how its world is made: see `machine_for`."""

    open_world: Callable[[bool], World]

    @initialize(tight=some.rarely, slots=st.tuples(some.slots, some.slots), limits=some.limits)
    def begin(self, tight: bool, slots: tuple[int, int], limits: dict[str, int]) -> None:
        """Two hosts that wait, some limits, and the fleet thawed; `tight` bounds make a call stop early."""
        self.world = type(self).open_world(tight)
        self.fleet = Driver(self.world)
        self.tokens: dict[str, list[int]] = {}
        self.fact = "0-0"
        self.fleet.apply(ops.Apply(limits=limits))
        self.fleet.thaw(ops.Thaw())
        for name, count in zip(some.HOSTS, slots, strict=False):
            self.world.listen(name)
            self.fleet.renew(ops.Renew(host=name, incarnation="i0", pools=["codex", "claude"], slots=count))
            self._claim(name, None)

    def teardown(self) -> None:
        if hasattr(self, "fleet"):
            try:
                if self.fleet.sound:
                    self._settle_down()
            finally:
                self.world.close()

    # --- what people and other services ask

    @rule(ask=some.submits, twice=some.rarely)
    def submit(self, ask: ops.Submit, twice: bool) -> None:
        self.fleet.submit(ask, twice=twice)

    @rule(asks=st.lists(some.plain_submits, min_size=2, max_size=6))
    def submit_many(self, asks: list[ops.Submit]) -> None:
        for ask in asks:
            self.fleet.submit(ask)

    @rule(ask=some.kills, twice=some.rarely)
    def kill(self, ask: ops.Kill, twice: bool) -> None:
        self.fleet.kill(ask, twice=twice)

    @rule(name=some.workspaces | st.none(), twice=some.rarely)
    def cancel(self, name: str | None, twice: bool) -> None:
        ask = ops.Cancel(workspace=name) if name else ops.Cancel(status="queued")
        self.fleet.cancel(ask, twice=twice)

    @rule(ask=some.retries, twice=some.rarely)
    def retry(self, ask: ops.Retry, twice: bool) -> None:
        self.fleet.retry(ask, twice=twice)

    @rule(ask=some.tracks, twice=some.rarely)
    def track(self, ask: ops.Track, twice: bool) -> None:
        self.fleet.track(ask, twice=twice)

    @rule(key=some.keys | st.none(), ahead=some.until, twice=some.rarely)
    def freeze(self, key: str | None, ahead: int | None, twice: bool) -> None:
        until = None if ahead is None else self.fleet.truth.now + ahead
        self.fleet.freeze(ops.Freeze(key=key, until=until, by="op"), twice=twice)

    @rule(key=some.keys, twice=some.rarely)
    def thaw(self, key: str, twice: bool) -> None:
        self.fleet.thaw(ops.Thaw(key=key), twice=twice)

    @rule()
    def thaw_all(self) -> None:
        self.fleet.thaw(ops.Thaw())

    @rule(key=some.keys, ahead=some.until, clear=some.rarely, least=some.rarely, twice=some.rarely)
    def back_off(self, key: str, ahead: int | None, clear: bool, least: bool, twice: bool) -> None:
        when: dict[str, Any] = {"clear": True} if clear else {"for": 5000}
        if ahead is not None and not clear:
            when = {"until": self.fleet.truth.now + ahead}
        self.fleet.back_off(ops.BackOff(key=key, at_least=least or None, **when), twice=twice)

    @rule(key=some.limit_names, limit=some.few | st.none(), twice=some.rarely)
    def limit(self, key: str, limit: int | None, twice: bool) -> None:
        self.fleet.limit(ops.Limit(key=key, limit=limit, clear=True if limit is None else None), twice=twice)

    @rule(ask=some.applies, twice=some.rarely)
    def apply(self, ask: ops.Apply, twice: bool) -> None:
        self.fleet.apply(ask, twice=twice)

    @rule(ask=some.host_actions, twice=some.rarely)
    def host(self, ask: ops.Host, twice: bool) -> None:
        self.fleet.host(ask, twice=twice)

    @rule(limit=st.sampled_from([1, 2, 64]), twice=some.rarely)
    def reap(self, limit: int, twice: bool) -> None:
        self.fleet.reap(limit, twice=twice)

    @rule(name=some.workspaces, what_if=st.none() | some.limits)
    def explain(self, name: str, what_if: dict[str, int] | None) -> None:
        self.fleet.explain(ops.Explain(workspace=name, what_if=what_if))

    @rule(ask=some.reads)
    def read(self, ask: Any) -> None:
        self.fleet.read(ask)

    # --- what hosts do

    def _asking(self, name: str, count: int | None, back: int = 0, wrong: bool = False) -> dict[str, Any]:
        host = self.fleet.truth.hosts.get(name)
        seq, incarnation = (host.seq, host.incarnation) if host else (0, "i0")
        return {
            "host": name,
            "incarnation": "other" if wrong else incarnation,
            "seq": max(seq + 1 - back, 1),
            "count": count,
        }

    def _claim(self, name: str, count: int | None, *, twice: bool = False) -> bool:
        return self.fleet.claim(ops.Claim(**self._asking(name, count)), twice=twice)

    @rule(name=some.hosts, count=some.count, twice=some.rarely)
    def claim(self, name: str, count: int | None, twice: bool) -> None:
        if name not in self.fleet.dead:
            self._claim(name, count, twice=twice)

    @rule(name=some.hosts, back=st.integers(1, 2), wrong=some.rarely)
    def claim_again(self, name: str, back: int, wrong: bool) -> None:
        self.fleet.claim(ops.Claim(**self._asking(name, None, back, wrong)))

    def _token(self, name: str, which: int) -> int:
        """0: the one in force; 1: an older one; 2: one that never was."""
        task = self.fleet.truth.tasks.get(name)
        token = task.token if task else 7
        return (token, max(token - 1, 0), token + 5)[which]

    @precondition(lambda self: self.fleet.truth.running())
    @rule(data=st.data(), ending=some.endings, claims=st.booleans(), twice=some.rarely)
    def complete(self, data: st.DataObject, ending: dict[str, Any], claims: bool, twice: bool) -> None:
        """A holder ends its run, mostly asking for the next."""
        task = data.draw(st.sampled_from(sorted(self.fleet.truth.running(), key=lambda task: task.name)))
        claim = None
        if claims and task.host in self.fleet.truth.hosts:
            claim = Asking(**self._asking(task.host, None))
        self.fleet.complete(
            ops.Complete(workspace=task.name, token=task.token, claim=claim, **ending), twice=twice
        )

    @rule(name=some.workspaces, which=st.sampled_from([1, 2]), ending=some.endings, twice=some.rarely)
    def complete_stale(self, name: str, which: int, ending: dict[str, Any], twice: bool) -> None:
        self.fleet.complete(ops.Complete(workspace=name, token=self._token(name, which), **ending), twice=twice)

    @rule(name=some.workspaces, age=st.sampled_from(["none", "old", "noted", "new"]), ending=some.endings)
    def report(self, name: str, age: str, ending: dict[str, Any]) -> None:
        """Somebody says that a run ended, without its token."""
        as_of = {"none": None, "old": "1-0", "noted": self.fact, "new": self.world.last_fact()}[age]
        self.fleet.complete(ops.Complete(workspace=name, as_of=as_of, **ending))

    @rule()
    def note_the_last_fact(self) -> None:
        self.fact = self.world.last_fact()

    @rule(name=some.hosts, row=some.host_rows, listens=st.integers(0, 5), twice=some.rarely)
    def register(self, name: str, row: dict[str, Any], listens: int, twice: bool) -> None:
        """A host appears, changes, or is started anew."""
        self.fleet.dead.discard(name)
        (self.world.listen if listens else self.world.deafen)(name)
        self.fleet.renew(ops.Renew(host=name, **row), twice=twice)

    @rule(name=some.hosts, knows=st.integers(0, 3), which=st.sampled_from([0, 0, 0, 1, 2]), twice=some.rarely)
    def beat(self, name: str, knows: int, which: int, twice: bool) -> None:
        """A host beats with the runs it knows of: mostly all."""
        host = self.fleet.truth.hosts.get(name)
        if host is None or name in self.fleet.dead:
            return
        runs = self.fleet.truth.held(name)[: None if knows else 1]
        held = [Held(workspace=task.name, token=self._token(task.name, which), pid=4) for task in runs]
        self.fleet.renew(ops.Renew(host=name, incarnation=host.incarnation, held=held), twice=twice)

    @rule(name=some.hosts, task=some.workspaces, which=st.sampled_from([0, 1]), ending=some.endings)
    def beat_with_an_ending(self, name: str, task: str, which: int, ending: dict[str, Any]) -> None:
        host = self.fleet.truth.hosts.get(name)
        if host:
            told = [Ending(workspace=task, token=self._token(task, which), **ending)]
            self.fleet.renew(ops.Renew(host=name, incarnation=host.incarnation, endings=told))

    @rule(name=some.hosts)
    def crash(self, name: str) -> None:
        self.world.deafen(name)
        self.fleet.dead.add(name)

    # --- what the world does

    @rule(ms=some.durations)
    def pass_time(self, ms: int) -> None:
        self.fleet.pass_time(ms)

    @rule(early=st.integers(0, 1))
    def pass_time_to_the_next_due(self, early: int) -> None:
        view, now = self.fleet.view, self.fleet.truth.now
        whens = [when for part in (view.timers, view.poked, view.leases) for when in part.values() if when > now]
        if whens:
            self.fleet.pass_time(max(int(min(whens)) - now - early, 0))

    @precondition(lambda self: self.fleet.truth.epoch < 3)
    @rule()
    def restart(self) -> None:
        self.fleet.restart()

    @rule()
    def settle_down(self) -> None:
        self._settle_down()

    def _settle_down(self) -> None:
        """Every poke is answered until all is quiet: then nothing that could start waits while a host waits for it."""
        fleet = self.fleet
        for _ in range(100):
            while fleet.reap():
                pass
            poked = sorted(fleet.view.poked)
            if not poked:
                break
            for name in poked:
                if name in fleet.dead:
                    fleet.pass_time(max(int(fleet.view.poked.get(name, 0)) - fleet.truth.now, 0))
                else:
                    while self._claim(name, None):
                        pass
        else:
            raise AssertionError("the pokes never end")
        for task in fleet.truth.queued():
            idle = fleet.view.waiting.get(task.route)
            assert not idle or fleet.truth.judge(task), f"{task.name} could start, and {sorted(idle)} wait for nothing"
