"""Asks one verb of the server, follows it in the truth, compares the two and checks every law."""

from collections.abc import Sequence
from typing import Any

from coordinator import operations as ops
from coordinator.models import Grant
from coordinator.operations._operation import Operation
from coordinator.operations.claim import Asking
from tests.model import laws, reading
from tests.model.retelling import Retelling
from tests.model.task_model import Task
from tests.model.truth import Given


class Driver(Retelling):
    """Every verb."""

    def submit(self, ask: ops.Submit, *, twice: bool = False) -> None:
        ask = self.truth.fitting(ask)
        idle = {name for name in self.truth.hosts if self.view.waits(name)}
        answer = self._ask(ask)
        if answer.outcome == "queued":
            self._tidy()
        outcome, no = self.truth.submit(ask)
        assert answer.outcome == outcome, f"{answer} for {outcome}"
        task = self.truth.tasks.get(ask.workspace)
        if outcome == "granted":
            self._adopt([answer.grant])
        elif outcome == "queued" and task:
            self._placed(task, answer.place)
            laws.refusal_is_true(answer.refusal, no or reading.no_room(self.truth, task, idle))
        elif outcome == "refused":
            laws.refusal_is_true(answer.refusal, no)
        self._lawful(ask, answer, twice)

    def _placed(self, task: Task, place: int) -> None:
        """Its place in its lane; 0 for one that waits for its time."""
        lane = [one for one in self.truth.standing() if one.lane == task.lane]
        assert place == (lane.index(task) + 1 if task in lane else 0), "its place in its lane"

    def claim(self, ask: ops.Claim, *, twice: bool = False) -> bool:
        """Whether the answer said that there is more."""
        pending = self._pending
        answer = self._ask(ask)
        self._tidy(lean=True)
        given = self._expected(ask, answer)
        self._given(answer, given)
        if not given.again:
            full = bool(given.names) and given.refusal is None and len(given.names) == given.want
            whens = [*self.view.timers.values(), *self.view.later.values()]
            wanted = None if full else reading.until_due(self.truth, whens)
            after = [name for name in self.view.of_status("running") if self.truth.tasks[name].status != "running"]
            after += [task.name for task in self.truth.due() if self._was_moved(task)]
            moved = after or (self._left_timers and answer.retry_in == 0)  # after it was answered
            assert answer.retry_in == wanted or moved, f"{answer} for {wanted}"
        if self.truth.hosts.get(ask.host) is None:
            self._nothing_changed(pending)
        self._lawful(ask, answer, twice)
        return bool(answer.more or answer.retry_in == 0)

    def _expected(self, ask: Asking, answer: Any) -> Given:
        """Exactly this; where the call stopped at a bound, what it then gave, if it might."""
        names = [grant.workspace for grant in answer.grants]
        most = len(names) if answer.more else None
        return self.truth.claim(ask, most=most, told=names if self._unfinished() else None, hints=names)

    def _given(self, answer: Any, given: Given) -> None:
        """A claim handed out what it must: the best first, and all that fits."""
        names = [grant.workspace for grant in answer.grants]
        for grant in answer.grants:
            left = max(self.truth.tasks[grant.workspace].deadline - self.truth.now, 0)
            assert grant.ttl == left, f"{grant} lasts {left} ms"
        if given.again:
            assert sorted(names) == sorted(given.names), f"asked again: {names} for {given.names}"
            return
        assert names == given.names, f"handed out {names}, the best that fit are {given.names}"
        self._adopt(answer.grants)
        own = given.refusal and (given.refusal.reason == "hosts_full" or given.refusal.key.startswith("host:"))
        if answer.refusal or own:
            laws.refusal_is_true(answer.refusal, given.refusal)

    def _adopt(self, grants: Sequence[Grant]) -> None:
        """Tokens are the server's to choose; that they only grow is a law."""
        for grant in grants:
            task = self.truth.tasks[grant.workspace]
            told = (grant.attempt, grant.answer, grant.account, grant.agent, grant.repo, grant.org, grant.lane)
            lane = task.lane if task.mode == "pull" else None
            assert told == (task.attempt, task.answer, task.account, task.agent, task.repo, task.org, lane), grant
            task.token = grant.token
            host = self.truth.hosts.get(task.host or "")
            if host:
                host.given = [
                    (name, grant.token if (name, had) == (grant.workspace, -1) else had) for name, had in host.given
                ]

    def complete(self, ask: ops.Complete, *, twice: bool = False) -> None:
        pending = self._pending
        granted = self.view.records.get(ask.workspace, {}).get("granted", "0-0")
        old = ask.as_of is not None and reading.later(granted, ask.as_of)
        answer = self._ask(ask)
        self._tidy(lean=True)
        outcome, status = self.truth.complete(ask, old)
        assert (answer.outcome, answer.status) == (outcome, status), f"{answer} for {outcome} {status}"
        if ask.claim:
            self._given(answer, self._expected(ask.claim, answer))
        elif outcome != "completed":
            self._nothing_changed(pending)
        self._lawful(ask, answer, twice)

    def renew(self, ask: ops.Renew, *, twice: bool = False) -> None:
        pending = self._pending
        answer = self._ask(ask)
        told = self.truth.renew(ask)
        if told is None:
            assert answer.outcome == "taken", answer
            self._nothing_changed(pending)
        else:
            self._follow_pushes()
            unseen = {grant.workspace for grant in answer.unseen}
            said = set(answer.lost), set(answer.kill), set(answer.unknown)
            assert said == told, f"{answer} for {told}"
            assert answer.epoch == self.truth.epoch, f"{answer} for epoch {self.truth.epoch}"
            still = self.truth.is_too_early() or any(task.stilled for task in self.truth.shown(ask))
            assert answer.still == still, f"{answer}: what stands still goes on doing so: {still}"
            assert unseen == self.truth.unseen(ask), f"{unseen} for {self.truth.unseen(ask)}"
            beats = self.truth.settings["lease_ttl"], self.truth.settings["beat"], self.truth.settings["kill_grace"]
            assert (answer.ttl, answer.beat, answer.kill_grace) == beats, answer
            shown = max((one.token for one in ask.held or ()), default=0)
            assert int(self.view.keys.get("fence", 0)) >= shown, "a token that was shown may be given again"
        self._lawful(ask, answer, twice)

    def confirm(self, ask: ops.Confirm, *, twice: bool = False) -> None:
        pending = self._pending
        answer = self._ask(ask)
        told = self.truth.confirm(ask)
        assert (answer.outcome, getattr(answer, "status", None), getattr(answer, "kill", False)) == told, answer
        if answer.outcome == "confirmed":
            assert answer.ttl == self.truth.settings["lease_ttl"]
        else:
            self._nothing_changed(pending)
        self._lawful(ask, answer, twice)

    def reap(self, limit: int = 64, *, twice: bool = False) -> bool:
        """Whether there is more to reap."""
        answer = self._ask(ops.Reap(limit=limit))
        self._tidy(limit)
        lost = [(one.workspace, one.status) for one in answer.lost]
        assert lost == self.truth.reap(limit), lost
        late = [name for name, when in self.view.later.items() if when <= self.truth.now]
        assert answer.more or not late, f"the time of {late} has come, and nothing was done"
        due, kept = self.truth.forget(answer.forgotten, self._listed)
        assert answer.forgotten == due or answer.more or kept, f"{answer.forgotten} of {due} were forgotten"
        asleep = {} if self.truth.settling > self.truth.now else self.view.leases
        parts = (self.view.timers, self.view.later, self.view.poked, self.view.ages, asleep)
        whens = [when for part in parts for when in part.values()]
        wanted_due = 0 if self.view.opening else reading.until_due(self.truth, whens)
        assert answer.next_due == wanted_due, f"{answer} for {wanted_due}"
        # Of those that are kept each call puts some off: asked again, it puts off the next.
        self._lawful(ops.Reap(limit=limit), answer, twice and not answer.more and not kept)
        return bool(answer.more)

    def _listed(self, task: Task) -> int:
        return int(self.view.keys[f"status:{task.status}"][task.name])

    def kill(self, ask: ops.Kill, *, twice: bool = False) -> None:
        """All parts of it."""
        while True:
            answer = self._ask(ask)
            asked, cleared = self.truth.kill(ask)
            assert (set(answer.running), answer.cleared) == (asked, cleared), f"{answer} for {asked}, {cleared}"
            self._lawful(ask, answer, twice)
            if not answer.more:
                return
            ask = ask.model_copy(update={"cursor": answer.cursor})

    def cancel(self, ask: ops.Cancel, *, twice: bool = False) -> None:
        answer = self._ask(ask)
        assert answer.count == self.truth.cancel(ask.workspace), answer
        self._lawful(ask, answer, twice)

    def prioritize(self, ask: ops.Prioritize, *, twice: bool = False) -> None:
        pending = self._pending
        answer = self._ask(ask)
        outcome, was = self.truth.prioritize(ask)
        assert answer.outcome == outcome, f"{answer} for {outcome}"
        if outcome == "prioritized":
            assert (answer.was, answer.now) == (was, ask.priority), answer
            self._placed(self.truth.tasks[ask.workspace], answer.place)
        else:
            self._nothing_changed(pending)
        self._lawful(ask, answer, twice)

    def retry(self, ask: ops.Retry, *, twice: bool = False) -> None:
        answer = self._ask(ask)
        told = {lane: text for fields in self.view.fair.values() for lane, text in fields.items() if " " in lane}
        began = {lane: self.truth.fair.began(lane, text) for lane, text in told.items()}
        assert answer.count == self.truth.retry(ask, lambda task: began.get(task.lane, 0)), answer
        self._lawful(ask, answer, twice)

    def track(self, ask: ops.Track, *, twice: bool = False) -> None:
        answer = self._ask(ask)
        new, changed, foreign = self.truth.track(ask)
        assert (answer.new, answer.changed, answer.foreign) == (new, changed, foreign), f"{answer} for {ask}"
        for task in self.truth.tasks.values():
            if task.token == -1:  # track tells nobody the token, and the run may have ended in the same question
                task.token = int(self.view.records[task.name].get("token", 0))
        self._lawful(ask, answer, twice)

    def freeze(self, ask: ops.Freeze, *, twice: bool = False) -> None:
        answer = self._ask(ask)
        self.truth.freeze(ask)
        self._lawful(ask, answer, twice)

    def thaw(self, ask: ops.Thaw, *, twice: bool = False) -> None:
        answer = self._ask(ask)
        self.truth.thaw(ask.key)
        self._lawful(ask, answer, twice)

    def back_off(self, ask: ops.BackOff, *, twice: bool = False) -> None:
        answer = self._ask(ask)
        assert (answer.was, answer.now) == self.truth.back_off(ask), answer
        self._lawful(ask, answer, twice)

    def limit(self, ask: ops.Limit, *, twice: bool = False) -> None:
        answer = self._ask(ask)
        assert answer.was == self.truth.set_limit(ask), answer
        self._lawful(ask, answer, twice)

    def apply(self, ask: ops.Apply, *, twice: bool = False, whole: bool = True) -> None:
        """To its end, or a part of it."""
        more, changed = True, set[str]()
        while more:
            answer = self._ask(ask)
            self.truth.apply(ask, answer)
            self._lawful(ask, answer, twice and not answer.more)
            more = answer.more and whole
            paths = {change.path for change in answer.changes}
            assert paths - changed or not more, f"{ask} never ends: {answer}"
            changed |= paths

    def host(self, ask: ops.Host, *, twice: bool = False) -> None:
        answer = self._ask(ask)
        state, again = self.truth.host(ask)
        assert getattr(answer, "state", answer.outcome) == state, f"{answer} for {state}"
        assert list(getattr(answer, "requeued", ())) == again, f"{answer} for {again}"
        self._lawful(ask, answer, twice)

    def explain(self, ask: ops.Explain) -> None:
        answer = self._ask(ask)
        task = self.truth.tasks.get(ask.workspace)
        assert answer.outcome == ("explained" if task else "unknown")
        if task and task.status == "queued":
            idle = {name for name in self.truth.hosts if self.view.waits(name)}
            no = self.truth.judge(task, ask.what_if) or reading.no_room(self.truth, task, idle)
            laws.refusal_is_true(answer.refusal, no)
            there = task.name in self.view.lanes.get(task.lane, {})
            place = reading.in_line(self.truth, self.view, task) if there else (None, None)
            assert (answer.lanes_before, answer.aged_to) == place, f"{task.name} in line: {answer}"
        self._only_read()

    def read(self, operation: Operation[Any]) -> None:
        """Reads change nothing, and count what there is."""
        answer = self._ask(operation)
        if operation.name == "status":
            reading.status_is_true(self.truth, answer)
            standing = {name for names in self.view.lanes.values() for name in names}
            nobodys = [(one.route, one.lanes, one.since) for one in answer.unserved]
            assert nobodys == reading.unserved(self.truth, standing)[:10], f"{nobodys} can not be served"
        elif isinstance(operation, ops.Query):
            found = {one.workspace: one.receipt for one in answer.workspaces}
            assert found.keys() == reading.found(self.truth, operation), f"{operation!r} told {sorted(found)}"
        elif operation.name == "hosts":
            told = [(one.host, one.state, one.beat, one.slots, one.mode, {*one.held}) for one in answer.hosts]
            assert told == reading.all_hosts(self.truth), answer
        self._only_read()

    def page(self, asked: ops.Query) -> None:
        """All pages of a question hold what fits it, in order."""
        names, ask = list[str](), asked
        while True:
            answer = self._ask(ask)
            part = list(answer.names) if ask.names else [one.workspace for one in answer.workspaces]
            assert len(part) <= (ask.count or 50), answer
            names += part
            assert len(names) <= len(self.truth.tasks), f"{asked!r} told {names}"
            self._only_read()
            if answer.cursor is None:
                break
            ask = asked.model_copy(update={"cursor": answer.cursor})
        wanted = reading.in_order(self.truth, asked)
        assert names == wanted, f"{asked!r} told {names} for {wanted}"

    def is_well(self) -> None:
        """What only verbs have changed has no fault, but runs that their hosts have stopped to tell of."""
        keys = sorted(self.world.keys())
        for at in range(0, len(keys), 64):  # a part that stops at its bound leaves the rest to another example
            part = self.world.ask(ops.Faults(keys=keys[at : at + 64]))
            found = [one for one in part.found if one.until is None]
            assert not found, f"{found} is wrong"

    def _only_read(self) -> None:
        laws.nothing_changed(self.before, self.view)
        self.sound = True
