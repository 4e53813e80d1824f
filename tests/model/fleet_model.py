"""The truth: a fleet in plain Python, with no queue, no index and no timer. Times are epoch milliseconds."""

from collections.abc import Iterable

from coordinator.words import pool_of
from tests.model.fair_model import Fairness, Lane
from tests.model.pace_model import Pace
from tests.model.ramp_model import MINUTE, Ramp
from tests.model.task_model import Host, No, Signed, Task
from tests.model.world import START


class Fleet:
    """Who waits, who runs where, and what stands in the way."""

    def __init__(self) -> None:
        self.now = START
        self.tasks: dict[str, Task] = {}
        self.hosts: dict[str, Host] = {}
        self.limits: dict[str, int] = {}
        self.accounts: dict[str, list[str]] = {}
        self.rates: dict[str, dict[str, int | str]] = {}
        self.gates: dict[str, int] = {}
        self.freezes: dict[str, int | None] = {"*": None}  # a new namespace is frozen
        self.signed: dict[str, Signed] = {}  # those that somebody froze
        self.blind = 0  # the epoch in which one who knew of no hosts configured it, until somebody sets something
        self.whys: dict[str, str | None] = {}  # why a gate is shut
        self.paces: dict[str, Pace] = {}
        self.ramps: dict[str, Ramp] = {}
        self.by_hand: set[str] = set()  # the keys that an operator opened in the last call
        self.failures: dict[str, int] = {}  # pool -> fast ones in a row
        self.settings = {"lease_ttl": 300_000, "beat": 10_000, "max_attempts": 3, "spawn_timeout": 60_000}
        self.settings["history"] = 30 * 86_400_000
        self.settings |= {"ageing": 3_600_000, "kill_grace": 15_000}
        self.own: dict[str, int] = {}  # the settings that somebody has made
        self.configured = False  # a whole configuration was applied
        self.fair = Fairness()
        self.summary: dict[str, int] = {}
        self.forgotten = 0
        self.default_agent = "claude"
        self.named_agent: str | None = None  # the default that somebody has named
        self.settling = 0
        self.expected: set[str] = set()  # that had runs before the server came back empty
        self.epoch, self.epochs = 0, 0  # its number, and how many there were
        self.remembers = False  # whether the library still knows its epoch
        self.ended = 0  # since nothing ran and nothing waited
        self.told: list[tuple[str, ...]] = []  # in this call: what must be a fact
        self.restored: set[str] = set()  # in this call: those that run on a host's word, not by a grant
        self.pushed: dict[str, int] = {}  # ids of notifications, and when
        self._order = 0

    def begin(self) -> None:
        """What every writing verb does first: after a restart a new epoch begins."""
        self.by_hand = set()
        self.settle_ramps()
        if self.settling <= self.now:
            self.expected = set()
        if self.remembers:
            return
        self.remembers = True
        self.epoch, self.epochs = max(self.epoch + 1, self.now), self.epochs + 1
        if self.hosts:
            self.settling = self.now + self.settings["lease_ttl"]

    def settle(self) -> None:
        """All is known when every host that there is, and every one that is expected, has told it in this epoch."""
        told = {host.name for host in self.hosts.values() if host.epoch == self.epoch}
        if {*self.hosts, *self.expected} <= told:
            self.settling, self.expected = 0, set()

    def expect(self, hosts: Iterable[str]) -> None:
        """Nothing is granted until these have told what they hold, or their leases would be over."""
        self.expected, self.settling = {*hosts}, self.now + self.settings["lease_ttl"]
        self.settle()

    def expect_unnamed(self) -> None:
        """Others may tell of runs too, whom nobody has named: only the clock ends that, or somebody who names them."""
        if self.settling > self.now:
            self.expected.add("*")
        else:
            self.expect(["*"])

    def next_order(self) -> int:
        self._order += 1
        return self._order

    def running(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.status == "running"]

    def queued(self) -> list[Task]:
        return sorted((task for task in self.tasks.values() if task.status == "queued"), key=lambda task: task.order)

    def standing(self) -> list[Task]:
        """Those that wait in a lane."""
        return [task for task in self.queued() if not task.awaited]

    def held(self, host: str) -> list[Task]:
        return [task for task in self.running() if task.host == host]

    def limit(self, key: str, instead: dict[str, int] | None = None) -> int | None:
        """Its own, else its kind's default; `instead` stands in for both."""
        limits = {**self.limits, **(instead or {})}
        kind, colon, _ = key.partition(":")
        return limits.get(key, limits.get(f"{kind}:*") if colon else None)

    def used(self, key: str) -> int:
        return sum(key in ("*", *task.held) for task in self.running())

    def freeze_of(self, key: str) -> tuple[int | None] | None:
        """A freeze in force as (until,), or None."""
        if key not in self.freezes:
            return None
        until = self.freezes[key]
        return None if until is not None and until <= self.now else (until,)

    def gate(self, key: str) -> int:
        until = self.gates.get(key, 0)
        return until if until > self.now else 0

    def refuses(self, key: str, limits: dict[str, int] | None = None) -> No | None:
        """Why nothing starts under a key; `limits` stand in for the real ones."""
        kind, _, pool = key.partition(":")
        if kind == "accounts" and pool in self.accounts:
            return self._no_account(pool, limits)
        limit = self.limit(key, limits)
        used = self.used(key)
        freeze = self.freeze_of(key)
        if freeze:
            return No(key, "frozen", used, limit, freeze[0])
        if key == "*" and self.settling > self.now:
            return No(key, "settling", used, limit, self.settling)
        if self.gate(key):
            return No(key, "backoff", used, limit, self.gate(key))
        pace = self.paces.get(key)
        rest = pace.refuses(self.now) if pace else None
        if pace and rest:
            used, limit = (pace.count, pace.daily) if rest[0] == "quota" else (used, limit)
            return No(key, rest[0], used, limit, rest[1])
        if limit is not None and used >= limit:
            return No(key, "full", used, limit)
        ramp = self.ramp_of(key, limit)
        until = ramp.until(self.now, limit) if ramp else None
        return No(key, "ramp", ramp.granted, ramp.allowance, until) if ramp and until is not None else None

    def ramp_of(self, key: str, limit: int | None) -> Ramp | None:
        """The ramp of a key as the clock has made it, where its limit is this."""
        if self.gate(key):
            return None
        quota = self.paces[key].lapsed(self.now) if key in self.paces else 0
        since, ramp = max(self.gates.get(key, 0), quota), self.ramps.get(key)
        if since > (ramp.since if ramp else 0):
            ramp = Ramp.begin(key, since)
        return ramp.at(self.now, limit) if ramp else None

    def settle_ramps(self) -> None:
        for key in {*self.ramps, *self.gates, *self.paces}:
            self._set_ramp(key, self.ramp_of(key, self.limit(key)))

    def _set_ramp(self, key: str, ramp: Ramp | None) -> None:
        if not self.gate(key):
            self.gates.pop(key, None)
        self.ramps.pop(key, None)
        if ramp:
            self.ramps[key] = ramp

    def stop_ramp(self, key: str) -> None:
        """An operator opens it, or its gate is shut anew."""
        self._set_ramp(key, None)
        if key in self.paces and self.paces[key].lapsed(self.now):
            self.paces[key].count = 0

    def shut(self, key: str, until: int, why: str) -> None:
        """A gate is shut until later than it was."""
        if until > self.gate(key):
            self.stop_ramp(key)
            self.gates[key], self.whys[key] = until, why

    def _end_trial(self, task: Task, *, by_itself: bool) -> None:
        for key in ("*", *task.held) if task.status == "running" else ():
            ramp = self.ramp_of(key, self.limit(key))
            if ramp and task.name in ramp.trial:
                ramp = ramp.end(task.name, self.now, self.limit(key), by_itself=by_itself)
            self._set_ramp(key, ramp)

    def judge(self, task: Task, limits: dict[str, int] | None = None) -> No | None:
        """What refuses a task: its time, or the first key, in the order of admission."""
        if task.not_before is not None and task.not_before > self.now:
            return No(task.name, "not_before", 0, None, task.not_before)
        group = [f"accounts:{task.keys[0]}"] if self.members(task.keys[0]) else []
        keys = ("*", task.keys[0], *group, *task.keys[1:])
        return next((no for key in keys if (no := self.refuses(key, limits))), None)

    def members(self, pool: str) -> list[str]:
        """The keys of the accounts of a pool."""
        return [f"account:{pool}/{name}" for name in sorted({*self.accounts.get(pool, ())})]

    def _no_account(self, pool: str, limits: dict[str, int] | None) -> No | None:
        """Why none of them admits: the next ending opens a full one; else the one that opens first says it."""
        nos = [no for key in self.members(pool) if (no := self.refuses(key, limits))]
        if len(nos) < len(self.members(pool)):
            return None
        most = [limit for no in nos if (limit := self.limit(no.key, limits)) is not None]
        ends = min((no.until for no in nos if no.until is not None), default=None)
        first = min(nos, key=lambda no: (no.reason != "full", no.until is None, no.until or 0, no.key))
        used = sum(self.used(no.key) for no in nos)
        return No(f"accounts:{pool}", first.reason, used, sum(most) if most else None, ends)

    def _account(self, task: Task) -> str | None:
        """The account it would get: of those it names, where it does; with most room, the least used, the first."""
        members = self.members(task.keys[0])
        fits = [key for key in members if key in task.keys] or members
        fits = [key for key in fits if not self.refuses(key)]
        if not fits:
            return None
        best = min(fits, key=lambda key: (-self._room(key), self.used(key), key))
        return best.partition("/")[2]

    def _room(self, key: str) -> float:
        limit = self.limit(key)
        return float("inf") if limit is None else limit - self.used(key)

    def cold(self, host: str) -> No | None:
        """Why a frozen host is given nothing."""
        freeze = self.freeze_of(f"host:{host}")
        return No(f"host:{host}", "frozen", 0, None, freeze[0]) if freeze else None

    def left(self, name: str) -> None:
        """Something of this lane waits no more; was it the last?"""
        lane = self.fair.lanes.get(name)
        if lane and lane.waits and all(task.lane != name for task in self.standing()):
            self.fair.leave(name)

    def give_back(self, task: Task) -> None:
        """What a run holds is free, though nobody says that it ended."""
        self._end_trial(task, by_itself=False)
        self._settle_run(task)

    def _settle_run(self, task: Task) -> None:
        if task.status == "running" and task.charged is not None:
            self.fair.settle(task.lane, task.charged, task.started, self.now)
            task.charged = None

    def start(
        self, task: Task, host: str, mode: str, ttl: int, *, granted: bool = True, restored: bool = False
    ) -> None:
        """A run begins, by a grant or on somebody's word; its token is told by the answer."""
        task.account = self._account(task)
        for key in ("*", *task.held):
            ramp = self.ramp_of(key, self.limit(key))
            if ramp and granted:
                ramp.start(task.name, self.now + MINUTE + (ttl if mode == "push" else 0))
            self._set_ramp(key, ramp)
        task.status, task.host, task.mode, task.ttl, task.deadline = "running", host, mode, ttl, self.now + ttl
        task.machine = None
        task.ran_on = None if mode == "asker" else host
        self.paces.setdefault(pool_of(task.agent), Pace()).started(self.now)
        task.attempt, task.runs = task.attempt + 1, task.runs + 1
        task.confirmed, task.killed, task.token = False, False, -1
        task.since = task.started = self.now
        self.left(task.lane)
        task.charged = task.receipt = None
        task.tracked = task.lapsed = task.told = task.stilled = False
        self.told.append(("AgentStarted", task.name, host, str(task.attempt), "True" if restored else ""))
        if mode == "push" and granted:
            self.told.append(("SpawnQueued", task.name, host))

    def finish(self, task: Task, status: str, *, by_itself: bool = False) -> None:
        self._end_trial(task, by_itself=by_itself)
        task.answer = None if task.status == "running" else task.answer
        task.took = self.now - task.started if task.status == "running" else 0
        self._settle_run(task)
        task.status, task.killed, task.since, task.ended_at = status, False, self.now, self.now
        task.account = None
        task.lapsed = task.told = False
        self.ended += 1
        self.left(task.lane)
        task.front = False
        self.told.append(("AgentCompleted", task.name, task.host or "", status))

    def missed(self, task: Task) -> bool:
        """Whether its deadline is over."""
        return task.start_by is not None and task.start_by <= self.now

    def wait_again(self, task: Task, not_before: int | None = None, deadline: int | None = None) -> None:
        """One that has ended: its times hold while they are ahead, unless it is told others."""
        times = (task.not_before if not_before is None else not_before, task.start_by if deadline is None else deadline)
        task.not_before, task.start_by = (when if when and when > self.now else None for when in times)

    def requeue(self, task: Task) -> None:
        if self.missed(task):
            self.finish(task, "failed")
            return
        self.give_back(task)
        task.status, task.host, task.mode, task.killed, task.since = "queued", None, None, False, self.now
        task.took, task.account = 0, None
        task.lapsed = task.tracked = task.told = False
        task.awaited = task.not_before is not None and task.not_before > self.now
        if not task.awaited:
            self.stand(task)

    def stand(self, task: Task) -> None:
        """It enters its lane."""
        task.awaited = False
        self.fair.enter(task.lane, Lane(task.route, task.band, task.keys), self.now)

    def drain(self) -> None:
        """The end of every call: what ended since there was something to do is told when there is nothing left."""
        if self.ended and not self.running() and not self.queued():
            self.told.append(("QueueDrained", str(self.ended)))
            self.told.append(("ChannelPush", "queue.status", str({"completed": self.ended})))
            self.ended = 0

    def pick(self, host: Host, told: str | None = None) -> Task | None:
        """What a host with room would be given next: the best that fits it and that every key admits."""
        heads: dict[str, Task] = {}
        for task in self.standing():
            if not self.missed(task):
                heads.setdefault(task.lane, task)
        fine = [lane for lane, task in heads.items() if host.fits(task) and not self.judge(task)]
        lane = self.fair.next_of(fine, self.now, self.tasks[told].lane if told in self.tasks else None)
        return heads[lane] if lane else None
