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
from tests.model.base import Base


class Stories(Base):
    """Rules of several calls."""

    @rule(key=some.limit_names, most=st.integers(0, 1), eased=st.booleans(), data=st.data())
    def crowd(self, key: str, most: int, eased: bool, data: st.DataObject) -> None:
        """Three want a key that lets one run, or none; it may soon let more."""
        for named in ("repo:core/io", "repo:web") if key == "repo:*" else ():
            self.fleet.limit(ops.Limit(key=named, clear=True))
        self.fleet.limit(ops.Limit(key=key, limit=most))
        for number in range(3):
            self._submit(data.draw(some.wanting(some.NAMES[number], key, number)))
        self._settle_down()
        if eased:
            self.fleet.limit(ops.Limit(key=key, limit=2))

    @precondition(lambda self: self.fleet.view.groups)
    @rule(data=st.data(), limit=some.limit)
    def relieve(self, data: st.DataObject, limit: int | None) -> None:
        """A key that keeps somebody waiting gets another limit; a repo by its default."""
        key = data.draw(st.sampled_from(sorted(self.fleet.view.groups)))
        if key.startswith("repo:") and key not in self.fleet.truth.limits:
            key = "repo:*"
        self.fleet.limit(ops.Limit(key=key, limit=limit, clear=True if limit is None else None))

    @rule(limit=some.limit)
    def close_a_default(self, limit: int | None) -> None:
        """Two repos wait for one default, which then lets some in."""
        for named in ("repo:core/io", "repo:web"):
            self.fleet.limit(ops.Limit(key=named, clear=True))
        self.fleet.limit(ops.Limit(key="repo:*", limit=0))
        self._submit(ops.Submit(workspace="w0", agent="codex", org="core", repo="io", again=True))
        self._submit(ops.Submit(workspace="w1", agent="claude", repo="web", again=True))
        self.fleet.limit(ops.Limit(key="repo:*", limit=limit, clear=True if limit is None else None))

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

    @rule(first=st.sampled_from([9, 0]), start=some.starts)
    def overtake(self, first: int, start: int | None) -> None:
        """Three wait for one slot, perhaps until a time; the last goes before the others, or the first behind them."""
        fleet = self.fleet
        fleet.limit(ops.Limit(key="codex", limit=0))
        for name in some.NAMES[:3]:
            fleet.submit(
                ops.Submit(workspace=name, agent="codex", again=True).model_copy(update=self._times(start, None))
            )
        fleet.prioritize(ops.Prioritize(workspace=some.NAMES[2 if first == 9 else 0], priority=first))
        fleet.pass_time(start or 0)
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

    @rule(ending=some.endings)
    def work(self, ending: dict[str, Any]) -> None:
        """Every worker ends what it runs and asks for the next."""
        for task in self._running():
            if task.mode != "asker" and task.status == "running" and task.host in self.fleet.truth.hosts:
                claim = Asking(**self._asking(task.host, None))
                self.fleet.complete(ops.Complete(workspace=task.name, token=task.token, claim=claim, **ending))

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

    @rule(ask=some.submits, start=some.starts, left=some.lefts, twice=some.rarely, off=some.rarely)
    def submit_for_later(self, ask: ops.Submit, start: int | None, left: int | None, twice: bool, off: bool) -> None:
        """It may not start yet, or not too late; some are asked for twice, or called off and queued again."""
        self._submit(ask.model_copy(update=self._times(start, left)), twice=twice)
        if off:
            self.fleet.cancel(ops.Cancel(workspace=ask.workspace))
            self.fleet.retry(ops.Retry(workspace=ask.workspace))

    @rule(
        asks=st.lists(some.plain_submits, min_size=2, max_size=4),
        start=some.starts,
        left=some.lefts,
        early=st.integers(0, 1),
        cold=st.booleans(),
        name=some.hosts,
    )
    def come_of_age(
        self, asks: list[ops.Submit], start: int | None, left: int | None, early: int, cold: bool, name: str
    ) -> None:
        """Several wait for one time, or have one deadline, which comes, or nearly; perhaps in a frozen fleet."""
        fleet, times = self.fleet, self._times(start, left)
        if cold:
            fleet.freeze(ops.Freeze())
        for ask in asks:
            self._submit(ask.model_copy(update=times))
        for when in sorted(times.values()):
            fleet.pass_time(max(when - fleet.truth.now - early, 0))
            if cold and when == max(times.values()):
                fleet.thaw(ops.Thaw())
            self._claim(name, None)
        self._settle_down()

    @rule(data=st.data(), start=some.starts, left=some.lefts, twice=some.rarely)
    def retry_for_later(self, data: st.DataObject, start: int | None, left: int | None, twice: bool) -> None:
        """One that has ended is told other times, or none."""
        ended = sorted(one.name for one in self.fleet.truth.tasks.values() if one.status not in ("queued", "running"))
        if ended:
            name, times = data.draw(st.sampled_from(ended)), {"not_before": 0, "deadline": 0} | self._times(start, left)
            self.fleet.retry(ops.Retry.model_validate({"workspace": name, **times}), twice=twice)

    @precondition(lambda self: any(task.start_by for task in self.fleet.truth.running()))
    @rule(data=st.data(), ending=some.endings)
    def end_after_its_deadline(self, data: st.DataObject, ending: dict[str, Any]) -> None:
        """A run that began in time goes on; when it meets a limit later it is not begun again."""
        late = [task for task in self._running() if task.start_by]
        task = data.draw(st.sampled_from(late))
        self.fleet.pass_time(max((task.start_by or 0) - self.fleet.truth.now, 0))
        self.fleet.complete(ops.Complete(workspace=task.name, token=task.token, **ending))

    def _times(self, start: int | None, left: int | None) -> dict[str, int]:
        """`not_before` in so many ms, and a `deadline` so long after it."""
        begin = self.fleet.truth.now + (start or 0)
        return ({} if start is None else {"not_before": begin}) | ({} if left is None else {"deadline": begin + left})

    @rule()
    def settle_down(self) -> None:
        self._settle_down()
