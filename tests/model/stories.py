"""Short stories: sequences of calls that lead where single calls seldom go."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coordinator import operations as ops
from coordinator.operations.apply import Rates
from coordinator.operations.claim import Asking
from coordinator.operations.track import OnDisk
from tests.model import choices as some
from tests.model.stories_loss import LosingStories


class Stories(LosingStories):
    """Rules of several calls."""

    @rule(key=some.limit_names, most=st.integers(0, 1), eased=st.booleans(), data=st.data())
    def crowd(self, key: str, most: int, eased: bool, data: st.DataObject) -> None:
        """Three want a key that lets one run, or none; it may soon let more."""
        self._leave_to_its_default(key)
        self.fleet.limit(ops.Limit(key=key, limit=most))
        for number in range(3):
            self._submit(data.draw(some.wanting(some.NAMES[number], key, number)))
        self._settle_down()
        if eased:
            self.fleet.limit(ops.Limit(key=key, limit=2))

    @precondition(lambda self: self.fleet.view.groups)
    @rule(data=st.data(), limit=some.limit)
    def relieve(self, data: st.DataObject, limit: int | None) -> None:
        """A key that keeps somebody waiting gets another limit; one that has none of its own by its default."""
        key = data.draw(st.sampled_from(sorted(self.fleet.view.groups)))
        if ":" in key and key not in self.fleet.truth.limits:
            kind = key.partition(":")[0]
            key = "account:*" if kind == "accounts" else f"{kind}:*"
        self.fleet.limit(ops.Limit(key=key, limit=limit, clear=True if limit is None else None))

    @rule(key=st.sampled_from(some.DEFAULTS), limit=some.limit, data=st.data())
    def close_a_default(self, key: str, limit: int | None, data: st.DataObject) -> None:
        """Two keys wait for one default, which then lets some in."""
        self._leave_to_its_default(key)
        self.fleet.limit(ops.Limit(key=key, limit=0))
        for number in range(2):
            self._submit(data.draw(some.wanting(some.NAMES[number], key, number)))
        self.fleet.limit(ops.Limit(key=key, limit=limit, clear=True if limit is None else None))

    @rule(chosen=st.lists(st.sampled_from(some.DEFAULTS), min_size=2, max_size=3, unique=True), at_once=st.booleans())
    def ease_several_defaults(self, chosen: list[str], at_once: bool) -> None:
        """Two keys of each of several kinds wait; their defaults let them in one after the other, or in one file."""
        fleet = self.fleet
        for key in chosen:
            self._leave_to_its_default(key)
        fleet.apply(ops.Apply(limits=dict.fromkeys(chosen, 0)))
        for number, (key, place) in enumerate((key, place) for key in chosen for place in range(2)):
            asks = some.wanted_fields(key, place)
            self._submit(ops.Submit.model_validate({"workspace": some.NAMES[number], "again": True, **asks}))
        if at_once:
            fleet.apply(ops.Apply(limits={}))
        for key in () if at_once else chosen:
            fleet.limit(ops.Limit(key=key, limit=2))
        self._settle_down()

    @rule(
        most=st.tuples(some.limit, some.limit),
        ending=some.endings,
        change=st.sampled_from(["raise", "raise one", "add", "remove", "shut", "freeze", "default", None]),
        ahead=some.until,
    )
    def run_under_accounts(
        self, most: tuple[int | None, int | None], ending: dict[str, Any], change: str | None, ahead: int | None
    ) -> None:
        """Four want the two accounts of a pool; one ends as it may, and an account or the group changes meanwhile."""
        fleet = self.fleet
        limits = {key: limit for key, limit in zip(some.ACCOUNTS, most, strict=True) if limit is not None}
        fleet.apply(ops.Apply(limits=limits, accounts={"codex": ["a", "b"]}))
        for number, name in enumerate(some.NAMES[:4]):
            agent, keys = ("codex", "codex:big")[number % 2], [some.ACCOUNTS[1]] if number == 2 else None
            self._submit(ops.Submit(workspace=name, agent=agent, keys=keys, again=True))
        self._settle_down()
        held = [task for task in self._running() if task.account]
        until = fleet.truth.now + (ahead or 0)
        if change == "shut":
            for key in some.ACCOUNTS:
                fleet.back_off(ops.BackOff(key=key, until=until))
        elif change == "freeze":
            fleet.freeze(ops.Freeze(key=some.ACCOUNTS[0], until=max(until, fleet.truth.now + 1)))
        if held:
            fleet.complete(ops.Complete(workspace=held[0].name, token=held[0].token, **ending))
        if change == "add":
            fleet.apply(ops.Apply(accounts={"codex": ["a", "b", "c"]}))
        elif change == "remove":
            fleet.apply(ops.Apply(accounts={}))
        elif change == "default":
            fleet.limit(ops.Limit(key="account:*", limit=2))
        for key in {"raise": some.ACCOUNTS, "raise one": some.ACCOUNTS[1:]}.get(change or "", ()):
            fleet.limit(ops.Limit(key=key, limit=3))
        self._settle_down()
        if ahead and ahead > 0:
            fleet.pass_time(ahead)
            self._settle_down()

    def _leave_to_its_default(self, key: str) -> None:
        for named in [one for one in self.fleet.truth.limits if one.startswith(key[:-1])] if key.endswith(":*") else ():
            if named != key:
                self.fleet.limit(ops.Limit(key=named, clear=True))

    @rule(rates=some.rates_of_a_pool, ahead=st.integers(1, 3), ending=some.endings, early=st.integers(0, 1))
    def pace(self, rates: Rates, ahead: int, ending: dict[str, Any], early: int) -> None:
        """A pool is paced, its reset some minutes away; several of it wait while time goes from edge to edge."""
        fleet = self.fleet
        reset = datetime.fromtimestamp(fleet.truth.now / 1000, UTC) + timedelta(minutes=ahead)
        paced = rates.model_copy(update={"reset_utc": f"{reset:%H:%M}"})
        fleet.apply(ops.Apply(rates={"codex": paced, "claude": Rates()}))
        for name in some.NAMES[:3]:
            self._submit(ops.Submit(workspace=name, agent="codex", again=True))
        for _ in range(4):
            self._settle_down()
            self.work(ending)
            edge = fleet.view.timers.get("codex")
            if edge is None or edge - fleet.truth.now > 86_400_000:
                return
            fleet.pass_time(max(int(edge) - fleet.truth.now - early, 0))

    @rule(
        key=st.sampled_from(["codex", "*", "repo:web", "team", "quota"]),
        limit=st.sampled_from([None, None, 3, 1]),
        priority=st.sampled_from([None, 9]),
        acts=st.lists(some.trials, min_size=2, max_size=7),
    )
    def reopen(self, key: str, limit: int | None, priority: int | None, acts: list[Any]) -> None:
        """A gate ends while some wait for it: they go one by one, then more, as those do that go first."""
        fleet, quota = self.fleet, key == "quota"
        key = "codex" if quota else key
        reset = datetime.fromtimestamp(fleet.truth.now / 1000, UTC) + timedelta(minutes=1)
        rates = Rates(daily_limit=1, reset_utc=f"{reset:%H:%M}") if quota else Rates()
        fleet.apply(ops.Apply(rates={"codex": rates, "claude": Rates()}))
        fleet.limit(ops.Limit(key=key, limit=limit, clear=True if limit is None else None))
        for number, name in enumerate(some.NAMES[:7]):
            of = "repo:web" if number == 3 else key  # one that waits for no other
            self._submit(self._of(name, of, priority))
        if quota:
            self._settle_down()
            fleet.apply(ops.Apply(rates={"codex": rates.model_copy(update={"daily_limit": 3}), "claude": Rates()}))
        else:
            fleet.back_off(ops.BackOff(key=key, until=fleet.truth.now + 3000))
        for early, ending in acts:
            self._settle_down()
            self._try(key, ending)
            edge = fleet.view.timers.get(key)
            if edge is not None:
                fleet.pass_time(max(int(edge) - fleet.truth.now - early, 0))

    def _of(self, name: str, key: str, priority: int | None) -> ops.Submit:
        repo, keys = ("web", None) if key == "repo:web" else (None, ["team"] if key == "team" else None)
        return ops.Submit(workspace=name, agent="codex", repo=repo, keys=keys, priority=priority, again=True)

    def _try(self, key: str, ending: dict[str, Any] | None) -> None:
        """One of those that run under a key ends, or is killed and then ends; or an operator opens the key."""
        if ending == some.THAWED:
            self.fleet.thaw(ops.Thaw(key=key))
        elif ending == some.CLEARED:
            self.fleet.back_off(ops.BackOff(key=key, clear=True))
        elif ending:
            self._end_one(key, ending)

    def _end_one(self, key: str, ending: dict[str, Any]) -> None:
        running = [task for task in self._running() if key in ("*", *task.keys)]
        if not running:
            return
        task = running[-1]
        if ending.get("verdict") == "killed":
            self.fleet.kill(ops.Kill(workspace=task.name, by="op"))
        claim = Asking(**self._asking(task.host, None)) if task.host in self.fleet.truth.hosts else None
        self.fleet.complete(ops.Complete(workspace=task.name, token=task.token, claim=claim, **ending))

    @rule(
        name=some.workspaces,
        status=st.sampled_from(["queued", "running"]),
        ahead=st.sampled_from([None, 0, 60_000]),
        host=some.hosts,
        teller=st.sampled_from([None, None, "h1", "h2"]),
    )
    def tell_an_old_tale(self, name: str, status: Any, ahead: int | None, host: str, teller: str | None) -> None:
        """A file is told of, its run ends or is called off, and the file is told of again, perhaps by another host."""
        fleet = self.fleet
        at = None if ahead is None else fleet.truth.now + ahead
        file = OnDisk(workspace=name, status=status, agent="codex", updated_at=at)
        fleet.track(ops.Track(workspaces=[file], host=host))
        task = fleet.truth.tasks[name]
        fleet.track(ops.Track(workspaces=[file.model_copy(update={"status": "merged"})], host=teller))
        if task.status == "queued":
            fleet.cancel(ops.Cancel(workspace=name))
        elif task.status == "running":
            fleet.complete(ops.Complete(workspace=name, token=task.token, status="completed"))
        told = file if task.tracked or at is None else file.model_copy(update={"token": task.token})
        fleet.track(ops.Track(workspaces=[told], host=teller or host))

    @rule(
        name=some.workspaces,
        status=st.sampled_from(["running", "queued", "completed", "blocked"]),
        pid=st.sampled_from([5, None]),
        older=st.sampled_from([0, 0, 1]),
        tellers=st.tuples(some.hosts, st.sampled_from([None, None, "h1"])),
    )
    def tell_of_one_that_lapsed(
        self, name: str, status: Any, pid: int | None, older: int, tellers: tuple[str, str | None]
    ) -> None:
        """A run that was found has no word of its host until its lease has run out; then there is one."""
        fleet = self.fleet
        file = OnDisk(workspace=name, status="running", agent="codex", updated_at=fleet.truth.now, pid=5)
        fleet.track(ops.Track(workspaces=[file], host=tellers[0]))
        if fleet.truth.tasks[name].status == "running":
            fleet.pass_time(max(fleet.truth.tasks[name].deadline - fleet.truth.now, 0))
        fleet.reap()
        file = file.model_copy(update={"status": status, "pid": pid, "updated_at": (file.updated_at or 0) - older})
        fleet.track(ops.Track(workspaces=[file], host=tellers[1] or tellers[0]))

    @rule(priority=st.sampled_from([None, 5]))
    def answer_in_a_crowd(self, priority: int | None) -> None:
        """One that was called off is answered while others wait in its lane, before they may start one by one."""
        fleet = self.fleet
        fleet.limit(ops.Limit(key="codex", limit=0))
        for name in some.NAMES[:3]:
            fleet.submit(ops.Submit(workspace=name, agent="codex", priority=priority, again=True))
        last = fleet.truth.tasks[some.NAMES[2]]
        fleet.cancel(ops.Cancel(workspace=last.name))
        if last.status == "failed":
            fleet.retry(ops.Retry(workspace=last.name, answer="yes"))
        fleet.limit(ops.Limit(key="codex", limit=1))
        self._settle_down()

    @rule(
        asks=st.lists(some.plain_submits, min_size=1, max_size=3),
        name=some.hosts,
        ahead=st.sampled_from([None, 5000]),
        asks_itself=st.booleans(),
        mode=st.sampled_from(["push", "pull"]),
    )
    def freeze_a_host(self, asks: list[ops.Submit], name: str, ahead: int | None, asks_itself: bool, mode: Any) -> None:
        """Work comes while a host is frozen, and it may ask for some; then it is thawed, or its freeze ends."""
        fleet = self.fleet
        key, until = f"host:{name}", None if ahead is None else fleet.truth.now + ahead
        host = fleet.truth.hosts.get(name)
        if host:
            fleet.renew(ops.Renew(host=name, incarnation=host.incarnation, mode=mode))
        fleet.freeze(ops.Freeze(key=key, until=until, by="op"))
        for ask in asks:
            self._submit(ask)
            fleet.pass_time(1)
        fleet.read(ops.GetStatus())
        if asks_itself:
            self._claim(name, None)
            self._submit(ops.Submit(workspace=some.NAMES[9], agent="codex", asker=name, again=True))
            fleet.explain(ops.Explain(workspace=asks[0].workspace))
        fleet.pass_time(ahead or 0)
        if ahead is None:
            fleet.thaw(ops.Thaw(key=key))
        self._settle_down()

    @precondition(lambda self: self.fleet.truth.running())
    @rule(data=st.data(), early=st.sampled_from([0, 0, 1, 900]), limit=st.sampled_from([1, 64]))
    def lapse(self, data: st.DataObject, early: int, limit: int) -> None:
        """A run is not renewed until (just before) its deadline."""
        task = data.draw(st.sampled_from(self._running()))
        self.fleet.pass_time(max(task.deadline - early - self.fleet.truth.now, 0))
        self.fleet.reap(limit)

    @precondition(lambda self: self.fleet.truth.running())
    @rule(data=st.data(), ending=some.endings)
    def end_a_killed_run(self, data: st.DataObject, ending: dict[str, Any]) -> None:
        task = data.draw(st.sampled_from(self._running()))
        self.fleet.kill(ops.Kill(workspace=task.name, by="op"))
        self.fleet.complete(ops.Complete(workspace=task.name, token=task.token, **ending))

    @precondition(lambda self: any(task.ran_on for task in self.fleet.truth.tasks.values()))
    @rule(data=st.data(), agent=st.sampled_from((None, *some.AGENTS)))
    def change_ones_mind(self, data: st.DataObject, agent: str | None) -> None:
        """One that has run is answered, taken out of the queue, and queued again without a word."""
        name = data.draw(st.sampled_from(sorted(task.name for task in self.fleet.truth.tasks.values() if task.ran_on)))
        self.fleet.retry(ops.Retry(workspace=name, answer="yes", agent=agent))
        self.fleet.cancel(ops.Cancel(workspace=name))
        self.fleet.retry(ops.Retry(workspace=name))

    @precondition(lambda self: any(self.fleet.view.waits(name) for name in self.fleet.truth.hosts))
    @rule(ask=some.plain_submits)
    def lose_a_poke(self, ask: ops.Submit) -> None:
        """Those that wait hear of work and do nothing, one after the other."""
        dozing = {name for name in self.fleet.truth.hosts if self.fleet.view.waits(name)} - self.fleet.dead
        self.fleet.dead |= dozing
        self._submit(ask)
        for _ in range(2):
            self.fleet.pass_time(1000)
            self.fleet.reap()
        self.fleet.dead -= dozing

    @rule(
        name=some.hosts,
        asks=st.lists(some.plain_submits, min_size=1, max_size=3),
        confirms=st.booleans(),
        lapses=st.booleans(),
        count=st.sampled_from([None, 0, 1]),
    )
    def push(self, name: str, asks: list[ops.Submit], confirms: bool, lapses: bool, count: int | None) -> None:
        """A host is handed work it did not ask for, confirms it or not; it may ask for less, and fall silent."""
        row = {"pools": ["claude", "codex"], "slots": 2, "mode": "push"}
        incarnation = self.fleet.truth.hosts[name].incarnation if name in self.fleet.truth.hosts else "i0"
        self.fleet.renew(ops.Renew(host=name, incarnation=incarnation, **row))
        for ask in asks:
            self._submit(ask)
        handed = [task for task in self._running() if task.host == name and task.mode == "push"]
        for task in handed if confirms else ():
            self.fleet.confirm(ops.Confirm(workspace=task.name, token=task.token))
        if count is not None:
            self._claim(name, count)
        if handed and lapses:
            self.fleet.pass_time(max(handed[0].deadline - self.fleet.truth.now, 0))
            self.fleet.reap()

    @precondition(lambda self: any(self._pushed(name) for name in self.fleet.truth.hosts))
    @rule(ask=some.plain_submits, ms=st.sampled_from([30_000, 30_001, 61_000]), name=some.hosts)
    def fall_silent(self, ask: ops.Submit, ms: int, name: str) -> None:
        """Push hosts have not beaten for a while when work comes; one beats again."""
        self.fleet.pass_time(ms)
        self._submit(ask)
        host = self.fleet.truth.hosts.get(name)
        if host:
            self.fleet.renew(ops.Renew(host=name, incarnation=host.incarnation))

    @rule()
    def settle_down(self) -> None:
        self._settle_down()
