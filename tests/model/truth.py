"""What every verb does to the fleet, and what it must answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from coordinator.operations import Claim, Complete, Confirm, Host, Kill, Prioritize, Renew, Retry, Submit
from coordinator.operations.claim import Asking
from coordinator.operations.complete import Ending
from coordinator.words import pool_of
from tests.model import task_model
from tests.model.ramp_model import MINUTE
from tests.model.task_model import No, Task
from tests.model.track_model import LONG, Tracked

FORGOTTEN = ("completed", "merged", "ready-for-review", "failed")  # never what is blocked


@dataclass
class Given:
    """What a claim must hand out, in order; why no more."""

    names: list[str] = field(default_factory=list)
    refusal: No | None = None
    again: bool = False  # an old seq: nothing was done
    want: int = 0  # how many there was room for


class Truth(Tracked):
    """The verbs that change a fleet."""

    def fitting(self, ask: Submit) -> Submit:
        """The same without accounts that its pool does not have: such a question is refused."""
        pool = (ask.agent or self.default_agent).partition(":")[0]
        group, kind = self.members(pool), f"account:{pool}/"
        keys = [key for key in ask.keys or [] if not group or key in group or not key.startswith(kind)]
        return ask.model_copy(update={"keys": keys or None})

    def submit(self, ask: Submit) -> tuple[str, No | None]:
        """The outcome and, for a refusal, the key that says no."""
        self.begin()
        old = self.tasks.get(ask.workspace)
        same = old and ask.id and ask.id == old.asked
        if old and same and old.status == "running" and old.mode == "asker" and old.host == ask.asker:
            return "granted", None
        if old and (old.status in ("queued", "running") or same or not ask.again):
            return "already", None
        task = Task(ask.workspace, ask.agent or self.default_agent, self.next_order(), ask.org, ask.repo)
        task.extra, task.asked = tuple(ask.keys or ()), ask.id
        task.priority = 5 if ask.priority is None else ask.priority
        task.not_before, task.start_by = ask.not_before, ask.deadline
        task.requires, task.labels = ask.host, frozenset(ask.labels or ())
        task.runs, task.ran_on, task.past = (old.runs, old.ran_on, old.newest) if old else (0, None, 0)
        if ask.asker:
            no = self.refuses_asker(ask.asker, task)
            if not no:
                self.tasks[task.name] = task
                self.start(task, ask.asker, "asker", ask.ttl or LONG)
                return "granted", None
            if ask.otherwise == "refuse":
                return "refused", no
        self.tasks[task.name] = task
        self.requeue(task)
        return "queued", self.judge(task)

    def claim(
        self,
        ask: Claim | Asking,
        most: int | None = None,
        told: list[str] | None = None,
        hints: Sequence[str] = (),
    ) -> Given:
        """What this host must be given.

        At `most` so many, when the answer says that there is more. While keys wait to be opened, what was `told`,
        if it might start: others may have been passed over. Of several whose turn it is, those of the `hints`.
        """
        self.begin()
        host = self.hosts.get(ask.host)
        if not host or host.incarnation != ask.incarnation:
            return Given(refusal=No(ask.host, "no_host", 0, None), again=True)
        if ask.seq <= host.seq:
            given = [name for name, token in host.given if self._runs(name, token)] if ask.seq == host.seq else []
            return Given(given, again=True)
        held = len(self.held(host.name))
        cold = self.cold(host.name)
        free = 0 if host.quiet or cold else max(host.room - held, 0)
        want = free if ask.count is None else min(ask.count, free)
        answer = Given(want=want)
        if free == 0:
            answer.refusal = cold or No(host.name, "hosts_full", held, host.room)
        while len(answer.names) < (want if most is None else most):
            task = self._next(host, told, answer.names, hints)
            if not task:
                break
            self._grant(task, host)
            answer.names.append(task.name)
        if free and len(answer.names) < want and self.refuses("*"):
            answer.refusal = self.refuses("*")
        host.seq, host.given = ask.seq, [(name, -1) for name in answer.names]
        return answer

    def _next(
        self, host: task_model.Host, told: list[str] | None, given: list[str], hints: Sequence[str]
    ) -> Task | None:
        if told is not None:
            return self._allowed(host, told[len(given) :])
        return self.pick(host, next(iter(hints[len(given) :]), None))

    def _grant(self, task: Task, host: task_model.Host) -> None:
        ttl = self.settings["spawn_timeout" if host.mode == "push" else "lease_ttl"]
        charged = self.fair.charge(task.lane, self.now)
        self.start(task, host.name, host.mode, ttl)
        task.machine, task.charged = host.machine, charged

    def push(self, name: str, host_name: str, *, best: bool) -> None:
        """A workspace was handed to a host that had not asked; the `best` that fits it, but while keys wait to open."""
        host = self.hosts[host_name]
        assert host.mode == "push", f"{name} was handed to {host_name}, which asks for itself"
        assert not host.quiet, f"{name} was handed to {host_name}, which is quiet"
        assert not self.cold(host_name), f"{name} was handed to {host_name}, which is frozen"
        assert not self.silent(host), f"{name} was handed to {host_name}, which is silent"
        assert len(self.held(host_name)) < host.room, f"{name} was handed to {host_name}, which is full"
        task = self.pick(host, name) if best else self._allowed(host, [name])
        assert task is self.tasks[name], f"{name} was handed to {host_name}, the best that fits is {task}"
        self._grant(self.tasks[name], host)

    def _allowed(self, host: task_model.Host, told: list[str]) -> Task | None:
        task = self.tasks[told[0]] if told else None
        if task:
            waits = task.status == "queued" and not task.awaited and not self.missed(task)
            fine = waits and host.fits(task) and not self.judge(task)
            assert fine, f"{task} may not start"
        return task

    def _runs(self, name: str, token: int) -> bool:
        task = self.tasks.get(name)
        return task is not None and task.status == "running" and task.token == token

    def report(self, ask: Ending, as_of_is_old: bool = False, *, began: bool = True) -> tuple[str, str | None]:
        """How an ending is taken: the outcome and the status the workspace then has.

        Whoever does not say when it `began` tells of no quick failure.
        """
        task = self.tasks.get(ask.workspace)
        if not task:
            return "unknown", None
        if ask.token is not None and ask.token != task.token:
            return "stale", task.status
        if task.status != "running":
            return "already", task.status
        if ask.token is None and (as_of_is_old or task.mode == "pull"):
            return "stale", task.status
        if ask.retry_after:
            why = f"the provider named a time by {task.host}"
            self.shut(self.at_fault(task), self.now + ask.retry_after * 1000, why)
        else:
            quick = began and self.now - task.started < MINUTE
            self.count_failure(task, ask.status, ask.verdict, quick=quick)
        task.cost, task.receipt = task.cost + (ask.cost_usd or 0), ask.receipt
        if ask.retry_after and ask.status == "failed" and not task.killed:
            task.attempt = max(task.attempt - 1, 0)
            self.requeue(task)
            return "completed", task.status
        others = ("killed", "stopped", "lost", "limited", "throttled", "start_failed", "guard_died")
        own = not task.killed and ask.verdict not in others
        self.finish(task, ask.status, by_itself=own and not ask.retry_after)
        return "completed", ask.status

    def complete(self, ask: Complete, as_of_is_old: bool = False) -> tuple[str, str | None]:
        self.begin()
        return self.report(ask, as_of_is_old)

    def confirm(self, ask: Confirm) -> tuple[str, str | None, bool]:
        """The outcome, the status the workspace has where it is refused, whether it shall end."""
        self.begin()
        task = self.tasks.get(ask.workspace)
        if not task:
            return "unknown", None, False
        if task.mode != "push" or not self._runs(task.name, ask.token):
            return "stale", task.status, False
        self._confirmed(task)
        return "confirmed", None, task.killed

    def _confirmed(self, task: Task) -> None:
        for key in ("*", *task.held) if not task.confirmed else ():
            ramp = self.ramp_of(key, self.limit(key))
            if ramp and ramp.trial.get(task.name, 0) > self.now:
                ramp.trial[task.name] = self.now + MINUTE
            self._set_ramp(key, ramp)
        task.confirmed, task.ttl = True, self.settings["lease_ttl"]
        task.deadline = self.now + task.ttl

    def prolong(self, task: Task) -> None:
        """Its holder says that it runs."""
        if task.mode == "push":
            self._confirmed(task)
        else:
            task.deadline = self.now + (task.ttl if task.mode == "asker" else self.settings["lease_ttl"])

    def renew(self, ask: Renew) -> tuple[set[str], set[str], set[str]] | None:
        """lost, to kill, unknown; None when another machine beats under this name."""
        self.begin()
        host = self.hosts.get(ask.host)
        other = host and host.incarnation != ask.incarnation and ask.machine and host.machine not in (None, ask.machine)
        if host and other and host.beat + 3 * self.settings["beat"] > self.now:
            return None
        host = self.hosts.setdefault(ask.host, task_model.Host(ask.host))
        if host.incarnation != ask.incarnation:
            host.seq, host.given = 0, []
        host.incarnation, host.machine = ask.incarnation, ask.machine or host.machine
        host.pools = host.pools if ask.pools is None else frozenset(ask.pools)
        host.labels = host.labels if ask.labels is None else frozenset(ask.labels)
        host.slots = host.slots if ask.slots is None else ask.slots
        host.mode, host.beat = ask.mode or host.mode, self.now
        host.epoch = self.epoch if ask.epoch is None else ask.epoch
        host.fresh = host.fresh and host.epoch != self.epoch
        self.settle()
        for ending in ask.endings or ():
            self.report(ending)
        lost, kill, unknown = set[str](), set[str](), set[str]()
        for one in ask.held or ():
            task = self.tasks.get(one.workspace)
            if not task or task.host != host.name or not self._runs(task.name, one.token):
                forgotten = ask.epoch is not None and (not task or task.newest < one.token)
                (unknown if forgotten else lost).add(one.workspace)
                continue
            if task.stilled and self.is_late(task):
                lost.add(task.name)
                continue
            self.prolong(task)
            if task.killed:
                kill.add(task.name)
        return lost, kill, unknown

    def is_too_early(self) -> bool:
        """Hosts have yet to tell, or nobody has said anything of how many may run."""
        return self.settling > self.now or (not self.configured and self.freeze_of("*") is not None)

    def is_late(self, task: Task) -> bool:
        """Its agent stands still: whether it is lost, as more run than may when all have told and limits are known."""
        task.stilled = self.is_too_early()
        limits = {key: self.limit(key) for key in ("*", *task.held)}
        beyond = any(limit is not None and self.used(key) > limit for key, limit in limits.items())
        if task.stilled or not beyond:
            return False
        self.lose(task)
        return True

    def shown(self, ask: Renew) -> list[Task]:
        """What a host that has beaten holds and did show, by its token: of an older run it knows no more."""
        shown = {(one.workspace, one.token) for one in ask.held or ()}
        return [task for task in self.held(ask.host) if (task.name, task.token) in shown]

    def unseen(self, ask: Renew) -> set[str]:
        """What a host that has beaten holds and did not show."""
        host, shown = self.hosts[ask.host], self.shown(ask)
        runs = [task for task in self.held(host.name) if task.mode != "asker" and task.machine in (None, host.machine)]
        return {task.name for task in runs if task not in shown}

    def reap(self, limit: int) -> list[tuple[str, str]]:
        """(name, what it became) of every lost run, in the order of their deadlines."""
        self.begin()
        if self.settling > self.now:
            return []
        late = sorted((task.deadline, task.name) for task in self.running() if task.deadline <= self.now)
        return [(name, self.lose(self.tasks[name])) for _, name in late[:limit]]

    def forget(self, told: int, listed: Callable[[Task], int]) -> tuple[int, bool]:
        """How many were due to be forgotten, and whether others had to be kept; of each status the oldest first.

        Those that were `told` are forgotten; one that is kept may be put off, as `listed` under its status.
        """
        till = self.now - self.settings["history"]
        due = [task for task in self.tasks.values() if task.status in FORGOTTEN and task.since <= till]
        due.sort(key=lambda task: (FORGOTTEN.index(task.status), task.since, task.name))
        kept = [task for task in due if task.dated is not None and task.mode != "pull" and not task.told]
        due = [task for task in due if task not in kept]
        for task in kept:
            assert listed(task) in (task.since, self.now), task
            task.since = listed(task)
        for task in due[:told]:
            del self.tasks[task.name]
            if task.tracked:
                continue
            self.forgotten += 1
            for what, more in ((task.status, 1), ("ms", task.took), ("cost_usd", task.cost)):
                field = f"{pool_of(task.agent)} {what}"
                self.summary[field] = self.summary.get(field, 0) + more
        return len(due), bool(kept)

    def lose(self, task: Task) -> str:
        self.told.append(("AgentLost", task.name, task.host or ""))
        proof = task.mode == "pull" or (task.mode == "push" and not task.confirmed)
        if task.killed or (proof and task.attempt >= self.settings["max_attempts"]):
            self.finish(task, "failed")
        elif proof:
            self.requeue(task)
        else:
            self.finish(task, "blocked")
            task.lapsed = task.tracked
        return task.status

    def kill(self, ask: Kill) -> tuple[set[str], int]:
        """One part of a kill: what was asked to end, and how many that waited were failed."""
        self.begin()
        if ask.all:
            self.sign("*", None, ask.by, ask.reason or "kill")
        running, waiting = ask.cursor is None, ask.workspace is not None or ask.cursor is not None
        asked = {task.name for task in self.running() if running and self._chosen(task, ask)}
        cleared = [task for task in self.queued() if waiting and self._chosen(task, ask)]
        for task in [self.tasks[name] for name in asked if not self.tasks[name].killed]:
            task.killed = True
            self.told.append(("KillRequested", task.name, task.host or ""))
        for task in cleared:
            self.finish(task, "failed")
        return asked, len(cleared)

    def _chosen(self, task: Task, ask: Kill) -> bool:
        if ask.host:
            return ask.host == (task.host if task.status == "running" else task.requires)
        key = ask.agent or (ask.repo and f"repo:{ask.repo}")
        return bool(ask.all) or task.name == ask.workspace or key in task.keys

    def cancel(self, name: str | None) -> int:
        self.begin()
        chosen = [task for task in self.queued() if name in (None, task.name)]
        for task in chosen:
            self.finish(task, "failed")
        return len(chosen)

    def prioritize(self, ask: Prioritize) -> tuple[str, int]:
        """The outcome, and the priority before."""
        self.begin()
        task = self.tasks.get(ask.workspace)
        if not task or task.status != "queued":
            return ("already" if task else "unknown"), 0
        lane, was, task.priority = task.lane, task.priority, ask.priority
        if not task.awaited:
            self.left(lane)
            self.stand(task)
        return "prioritized", was

    def retry(self, ask: Retry, order: Callable[[Task], float] = lambda task: 0) -> int:
        """How many are queued again; lanes that are new come in this order."""
        self.begin()
        name, status = ask.workspace, ask.status or "failed"
        chosen = [task for task in self.tasks.values() if (task.name == name if name else task.status == status)]
        chosen = [task for task in chosen if task.status not in ("queued", "running")]
        for task in chosen:
            task.attempt = 0
            task.go_to(ask.agent or task.agent)
            self.wait_again(task, ask.not_before, ask.deadline)
            task.requires, task.pinned = None if task.pinned else task.requires, False
            if ask.answer:
                task.answer = ask.answer
                task.pinned = task.requires is None and task.ran_on is not None
                task.requires = task.requires or task.ran_on
            task.front = bool(task.answer or ask.front)
            if task.front:
                task.order = self.next_order()
        for task in sorted(chosen, key=order):
            self.requeue(task)
        return len(chosen)

    def host(self, ask: Host) -> tuple[str, list[str]]:
        """What the host now is, or `unknown` or `refused`; which of its runs were queued again."""
        self.begin()
        host, held = self.hosts.get(ask.host), self.held(ask.host)
        if not host and not held and not (ask.action == "forget" and ask.host in self.expected):
            return "unknown", []
        if ask.action != "forget":
            if not host:
                return "unknown", []
            host.quiet = ask.action == "quiet"
            return "quiet" if host.quiet else "live", []
        if held and not ask.dead:
            return "refused", []
        for task in held:
            self.told.append(("AgentLost", task.name, ask.host))
            if task.killed:
                self.finish(task, "failed")
            else:
                self.requeue(task)
        again = sorted(task.name for task in held if task.status == "queued")
        self.hosts.pop(ask.host, None)
        self.expected.discard(ask.host)
        self.settle()
        return "forgotten", again
