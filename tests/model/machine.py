"""The state machine: every verb in any order, from hosts that come, crash, lose pokes and repeat themselves."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coordinator import operations as ops
from coordinator.models import Held
from coordinator.operations.apply import FleetSettings, Rates
from coordinator.operations.claim import Asking
from coordinator.operations.complete import HoldersEnding
from tests.model import choices as some
from tests.model.stories import Stories


class FleetMachine(Stories):
    """One call a rule; the stories are rules too."""

    # --- what people and other services ask

    @rule(ask=some.submits, same=some.rarely, twice=some.rarely)
    def submit(self, ask: ops.Submit, same: bool, twice: bool) -> None:
        self._submit(ask, same=same, twice=twice)

    @rule(asks=st.lists(some.plain_submits, min_size=2, max_size=6))
    def submit_many(self, asks: list[ops.Submit]) -> None:
        for ask in asks:
            self._submit(ask)

    @rule(ask=some.askers, twice=some.rarely)
    def ask_to_run(self, ask: ops.Submit, twice: bool) -> None:
        """Some do not hear the answer until it has ended: under its id they ask for the same again."""
        self._submit(ask, twice=twice)
        task = self.fleet.truth.tasks.get(ask.workspace)
        if twice and ask.id and task and task.asked == ask.id and (task.status, task.mode) == ("running", "asker"):
            self.fleet.complete(ops.Complete(workspace=task.name, token=task.token, status="completed"))
            self._submit(ask)

    @rule(ask=some.changes, twice=some.rarely)
    def change_much(self, ask: Any, twice: bool) -> None:
        part = {"whole": False} if ask.name == "apply" else {}  # with tight bounds others come in between
        getattr(self.fleet, ask.name)(ask, twice=twice, **part)

    @rule(
        found=some.on_disk,
        host=some.hosts,
        age=some.ages,
        which=st.sampled_from([None, None, 0, 1, 2]),
        twice=some.rarely,
    )
    def find_on_disk(self, found: list[Any], host: str, age: Any, which: int | None, twice: bool) -> None:
        """A host says what lies on its disk: how old each file is, and which run it is of."""
        dated = []
        for one in found:
            task = self.fleet.truth.tasks.get(one.workspace)
            at = (task.dated if task else None) if age == "same" else age and self.fleet.truth.now - age
            token = None if which is None else self._token(one.workspace, which)
            dated.append(one.model_copy(update={"updated_at": at, "token": token}))
        self.fleet.track(ops.Track(workspaces=dated, host=host), twice=twice)

    @rule(ask=some.retries, twice=some.rarely)
    def retry(self, ask: ops.Retry, twice: bool) -> None:
        self.fleet.retry(ask, twice=twice)

    @rule(data=st.data(), fields=some.answers, twice=some.rarely)
    def resume(self, data: st.DataObject, fields: dict[str, Any], twice: bool) -> None:
        """One that has ended is told something, given to another agent, or put in front."""
        ended = sorted(
            task.name for task in self.fleet.truth.tasks.values() if task.status not in ("queued", "running")
        )
        name = data.draw(st.sampled_from(ended) if ended else some.workspaces)
        self.fleet.retry(ops.Retry(workspace=name, **fields), twice=twice)

    @rule(data=st.data(), priority=st.sampled_from([9, 0, 5]), twice=some.rarely)
    def prioritize(self, data: st.DataObject, priority: int, twice: bool) -> None:
        """Mostly of one that waits."""
        queued = sorted(task.name for task in self.fleet.truth.queued())
        name = data.draw(st.sampled_from(queued) | some.workspaces if queued else some.workspaces)
        self.fleet.prioritize(ops.Prioritize(workspace=name, priority=priority), twice=twice)

    @rule(key=some.cold_keys, ahead=some.until, why=some.whys, twice=some.rarely)
    def freeze(self, key: str, ahead: int | None, why: dict[str, Any], twice: bool) -> None:
        until = None if ahead is None else self.fleet.truth.now + max(ahead, 1)
        self.fleet.freeze(ops.Freeze(key=key, until=until, **why), twice=twice)

    @rule(every=st.booleans(), key=some.cold_keys, twice=some.rarely)
    def thaw(self, every: bool, key: str, twice: bool) -> None:
        for one in [key] if not every else [key for key in sorted(self.fleet.truth.freezes) if key != "*"]:
            self.fleet.thaw(ops.Thaw(key=one), twice=twice)
        if every:
            self.fleet.thaw(ops.Thaw(), twice=twice)

    @rule(key=some.keys, ahead=some.until, how=some.hows, why=some.whys, twice=some.rarely)
    def back_off(self, key: str, ahead: int | None, how: str, why: dict[str, Any], twice: bool) -> None:
        shut = sorted(key for key in self.fleet.truth.gates if self.fleet.truth.gate(key))
        key = shut[0] if shut and how in ("least", "clear") else key
        when: dict[str, Any] = {"clear": True} if how == "clear" else {"for": 5000}
        if how in ("until", "least") and ahead is not None:
            when = {"until": self.fleet.truth.now + ahead}
        self.fleet.back_off(ops.BackOff(key=key, at_least=how == "least" or None, **when, **why), twice=twice)

    @rule(key=some.limit_names, limit=some.limit, twice=some.rarely)
    def limit(self, key: str, limit: int | None, twice: bool) -> None:
        self.fleet.limit(ops.Limit(key=key, limit=limit, clear=True if limit is None else None), twice=twice)

    @rule(ask=some.host_actions, twice=some.rarely)
    def host(self, ask: ops.Host, twice: bool) -> None:
        if ask.host in self.fleet.truth.hosts or twice:
            self.fleet.host(ask, twice=twice)

    @rule(limit=st.sampled_from([1, 2, 64]), twice=some.rarely)
    def reap(self, limit: int, twice: bool) -> None:
        self.fleet.reap(limit, twice=twice)

    @rule(history=st.sampled_from([0, 1000, 60_000]), early=st.integers(0, 1), rates=some.rates, twice=some.rarely)
    def forget(self, history: int, early: int, rates: dict[str, Rates] | None, twice: bool) -> None:
        """Another file, by which what ends is kept for a short time; that passes, or just not yet."""
        self.fleet.apply(ops.Apply(settings=FleetSettings(history=history), rates=rates))
        self.fleet.pass_time(max(history - early, 0))
        while self.fleet.reap(twice=twice):
            pass

    @rule(name=some.workspaces, what_if=st.none() | some.limits, ask=some.reads, pages=some.pages)
    def read(self, name: str, what_if: dict[str, int] | None, ask: Any, pages: ops.Query) -> None:
        queued = self.fleet.truth.queued()
        self.fleet.explain(ops.Explain(workspace=queued[0].name if queued else name, what_if=what_if))
        self.fleet.read(ask)
        self.fleet.page(pages)

    # --- what hosts do

    @rule(name=some.hosts, count=some.count, twice=some.rarely)
    def claim(self, name: str, count: int | None, twice: bool) -> None:
        if name not in self.fleet.dead:
            self._claim(name, count, twice=twice)

    @rule(name=some.hosts, back=st.integers(1, 2), wrong=some.rarely)
    def claim_again(self, name: str, back: int, wrong: bool) -> None:
        self.fleet.claim(ops.Claim(**self._asking(name, None, back, wrong)))

    @precondition(lambda self: self.fleet.truth.running())
    @rule(data=st.data(), ending=some.endings, claims=st.booleans(), twice=some.rarely)
    def complete(self, data: st.DataObject, ending: dict[str, Any], claims: bool, twice: bool) -> None:
        """A holder ends its run, mostly asking for the next."""
        running = sorted(self.fleet.truth.running(), key=lambda task: (not task.killed, task.name))
        task = running[0] if running[0].killed else data.draw(st.sampled_from(running))
        claim = None
        if claims and task.host in self.fleet.truth.hosts:
            claim = Asking(**self._asking(task.host, None))
        self.fleet.complete(ops.Complete(workspace=task.name, token=task.token, claim=claim, **ending), twice=twice)

    @rule(data=st.data(), which=st.sampled_from([1, 2]), ending=some.endings, twice=some.rarely)
    def complete_stale(self, data: st.DataObject, which: int, ending: dict[str, Any], twice: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.fleet.truth.tasks)) if self.fleet.truth.tasks else some.workspaces)
        self.fleet.complete(ops.Complete(workspace=name, token=self._token(name, which), **ending), twice=twice)

    @rule(data=st.data(), age=st.sampled_from(["none", "old", "noted", "new"]), ending=some.endings)
    def report(self, data: st.DataObject, age: str, ending: dict[str, Any]) -> None:
        """Somebody says that a run ended, without its token: mostly of one that no worker holds."""
        asked = sorted(task.name for task in self.fleet.truth.running() if task.mode != "pull")
        name = data.draw(st.sampled_from(asked) if asked else some.workspaces)
        as_of = {"none": None, "old": "1-0", "noted": self.fact, "new": self.world.last_fact()}[age]
        self.fact = self.world.last_fact()
        self.fleet.complete(ops.Complete(workspace=name, as_of=as_of, **ending))

    @rule(name=some.hosts, row=some.host_rows, listens=st.integers(0, 5), twice=some.rarely)
    def register(self, name: str, row: dict[str, Any], listens: int, twice: bool) -> None:
        """A host appears, changes, or is started anew."""
        self.fleet.dead.discard(name)
        (self.world.listen if listens else self.world.deafen)(name)
        self.fleet.renew(ops.Renew(host=name, **row), twice=twice)

    @rule(
        name=some.hosts,
        knows=st.integers(0, 3),
        which=st.sampled_from([0, 0, 0, 1, 2]),
        epoch=some.epochs,
        twice=some.rarely,
    )
    def beat(self, name: str, knows: int, which: int, epoch: int | None, twice: bool) -> None:
        """A host beats with the runs it knows of: mostly all. One that can tell of them again says when it last did."""
        host = self.fleet.truth.hosts.get(name)
        if host is None or name in self.fleet.dead:
            return
        runs = self.fleet.truth.held(name)[: None if knows else 1]
        held = [Held(workspace=task.name, token=self._token(task.name, which), pid=4) for task in runs]
        self.fleet.renew(
            ops.Renew(host=name, incarnation=host.incarnation, held=held, epoch=self._epoch(epoch)), twice=twice
        )

    @rule(name=some.hosts, task=some.workspaces, which=st.sampled_from([0, 1]), ending=some.endings)
    def beat_with_an_ending(self, name: str, task: str, which: int, ending: dict[str, Any]) -> None:
        host = self.fleet.truth.hosts.get(name)
        if host:
            told = [HoldersEnding(workspace=task, token=self._token(task, which), **ending)]
            self.fleet.renew(ops.Renew(host=name, incarnation=host.incarnation, endings=told))

    @precondition(lambda self: self.fleet.truth.running())
    @rule(data=st.data(), which=st.sampled_from([0, 0, 0, 1, 2]), twice=some.rarely)
    def confirm(self, data: st.DataObject, which: int, twice: bool) -> None:
        """A push host says that it starts a run; or somebody says so of another's."""
        pushed = [task for task in self._running() if task.mode == "push"]
        task = data.draw(st.sampled_from(pushed or self._running()))
        self.fleet.confirm(ops.Confirm(workspace=task.name, token=self._token(task.name, which), pid=5), twice=twice)

    @rule(name=some.hosts, deaf=st.booleans())
    def crash(self, name: str, deaf: bool) -> None:
        """A host asks for nothing more; it may still hear its pokes, and lose them."""
        if deaf:
            self.world.deafen(name)
        self.fleet.dead.add(name)

    # --- what the world does

    @rule(ms=some.durations)
    def pass_time(self, ms: int) -> None:
        self.fleet.pass_time(ms)

    @rule(early=st.integers(0, 1))
    def pass_time_to_the_next_due(self, early: int) -> None:
        view, now = self.fleet.view, self.fleet.truth.now
        whens = [
            when for part in (view.timers, view.later, view.poked, view.leases) for when in part.values() if when > now
        ]
        if whens:
            self.fleet.pass_time(max(int(min(whens)) - now - early, 0))

    @precondition(lambda self: self.fleet.truth.epochs < 3)
    @rule(settles=st.booleans())
    def restart(self, settles: bool) -> None:
        self.fleet.restart()
        for host in list(self.fleet.truth.hosts.values()) if settles else []:
            self.fleet.renew(ops.Renew(host=host.name, incarnation=host.incarnation))
