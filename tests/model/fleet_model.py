"""The truth: a fleet in plain Python, with no queue, no index and no timer. Times are epoch milliseconds."""

from dataclasses import dataclass, field
from typing import NamedTuple

from coordinator.words import limit_keys, pool_of
from tests.model.pace_model import Pace
from tests.model.world import START


class No(NamedTuple):
    """What a refusal must say."""

    key: str
    reason: str
    used: int
    limit: int | None
    until: int | None = None


@dataclass
class Task:
    """A workspace. `order` is its place among those of its priority; `extra` are limit keys it names."""

    name: str
    agent: str
    order: int
    org: str | None = None
    repo: str | None = None
    extra: tuple[str, ...] = ()
    priority: int = 5
    requires: str | None = None
    labels: frozenset[str] = frozenset()
    status: str = ""
    attempt: int = 0
    runs: int = 0
    host: str | None = None
    mode: str | None = None
    machine: str | None = None
    token: int = 0
    ttl: int = 0
    deadline: int = 0
    confirmed: bool = False
    killed: bool = False
    asked: str | None = None
    answer: str | None = None  # told to every run until one ends
    ran_on: str | None = None
    pinned: bool = False  # `requires` is where it last ran, for an answer's sake
    not_before: int | None = None
    start_by: int | None = None  # the deadline it was given; `deadline` is its lease's
    since: int = 0  # its last change of status
    started: int = 0
    took: int = 0  # its last run
    cost: int = 0  # all its runs
    tracked: bool = False  # its run was entered by track
    told: bool = False  # its ending was told by track
    lapsed: bool = False  # that run has no proof of death
    dated: int | None = None  # the date of the last statement that track took
    ended_at: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """Its limit keys, in the order of admission, without `*`."""
        return tuple(limit_keys(self.agent, self.org or "", self.repo or "", self.extra)[1:])

    @property
    def route(self) -> str:
        where = f"@{self.requires}" if self.requires else ""
        return pool_of(self.agent) + where + "".join(f"+{label}" for label in sorted(self.labels))

    @property
    def lane(self) -> str:
        return " ".join((self.route, *self.keys))

    @property
    def rank(self) -> tuple[int, int]:
        """Who goes first: the smaller."""
        return (-self.priority, self.order)


@dataclass
class Host:
    """A host as it registered itself."""

    name: str
    incarnation: str = ""
    machine: str | None = None
    pools: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    slots: int | None = None  # an asker's own host may name none
    mode: str = "pull"
    quiet: bool = False
    beat: int = 0
    epoch: int = 0
    seq: int = 0
    given: list[tuple[str, int]] = field(default_factory=list)

    @property
    def room(self) -> int:
        """The slots that its worker may fill."""
        return self.slots or 0

    @property
    def slots_text(self) -> str | None:
        return None if self.slots is None else str(self.slots)

    def fits(self, task: Task) -> bool:
        return pool_of(task.agent) in self.pools and task.requires in (None, self.name) and task.labels <= self.labels


class Fleet:
    """Who waits, who runs where, and what stands in the way."""

    def __init__(self) -> None:
        self.now = START
        self.tasks: dict[str, Task] = {}
        self.hosts: dict[str, Host] = {}
        self.limits: dict[str, int] = {}
        self.rates: dict[str, dict[str, int | str]] = {}
        self.gates: dict[str, int] = {}
        self.freezes: dict[str, int | None] = {"*": None}  # a new namespace is frozen
        self.paces: dict[str, Pace] = {}
        self.failures: dict[str, int] = {}  # pool -> fast ones in a row
        self.settings = {"lease_ttl": 300_000, "beat": 10_000, "max_attempts": 3, "spawn_timeout": 60_000}
        self.settings["history"] = 30 * 86_400_000
        self.summary: dict[str, int] = {}
        self.forgotten = 0
        self.default_agent = "claude"
        self.settling = 0
        self.epoch = 0
        self.remembers = False  # whether the library still knows its epoch
        self.ended = 0  # since nothing ran and nothing waited
        self._order = 0

    def begin(self) -> None:
        """What every writing verb does first: after a restart a new epoch begins."""
        if self.remembers:
            return
        self.remembers = True
        self.epoch += 1
        if self.hosts:
            self.settling = self.now + self.settings["lease_ttl"]

    def settle(self) -> None:
        if all(host.epoch == self.epoch for host in self.hosts.values()):
            self.settling = 0

    def next_order(self) -> int:
        self._order += 1
        return self._order

    def running(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.status == "running"]

    def queued(self) -> list[Task]:
        return sorted((task for task in self.tasks.values() if task.status == "queued"), key=lambda task: task.rank)

    def held(self, host: str) -> list[Task]:
        return [task for task in self.running() if task.host == host]

    def limit(self, key: str) -> int | None:
        found = self.limits.get(key)
        return self.limits.get("repo:*") if found is None and key.startswith("repo:") else found

    def used(self, key: str) -> int:
        return sum(key in ("*", *task.keys) for task in self.running())

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
        limit = limits[key] if limits and key in limits else self.limit(key)
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
        return None

    def judge(self, task: Task, limits: dict[str, int] | None = None) -> No | None:
        """What refuses a task: its time, or the first key, in the order of admission."""
        if task.not_before is not None and task.not_before > self.now:
            return No(task.name, "not_before", 0, None, task.not_before)
        return next((no for key in ("*", *task.keys) if (no := self.refuses(key, limits))), None)

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

    def cold(self, host: str) -> No | None:
        """Why a frozen host is given nothing."""
        freeze = self.freeze_of(f"host:{host}")
        return No(f"host:{host}", "frozen", 0, None, freeze[0]) if freeze else None

    def silent(self, host: Host) -> bool:
        """Whether a host has missed three beats."""
        return self.now - host.beat > 3 * self.settings["beat"]

    def start(self, task: Task, host: str, mode: str, ttl: int) -> None:
        """A run begins; its token is told by the answer."""
        task.status, task.host, task.mode, task.ttl, task.deadline = "running", host, mode, ttl, self.now + ttl
        task.machine = None
        task.ran_on = None if mode == "asker" else host
        self.paces.setdefault(pool_of(task.agent), Pace()).started(self.now)
        task.attempt, task.runs = task.attempt + 1, task.runs + 1
        task.confirmed, task.killed, task.asked, task.token = False, False, None, -1
        task.since = task.started = self.now
        task.tracked = task.lapsed = task.told = False

    def finish(self, task: Task, status: str) -> None:
        task.answer = None if task.status == "running" else task.answer
        task.took = self.now - task.started if task.status == "running" else 0
        task.status, task.killed, task.since, task.ended_at = status, False, self.now, self.now
        task.lapsed = task.told = False
        self.ended += 1

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
        task.status, task.host, task.mode, task.killed, task.since = "queued", None, None, False, self.now
        task.took = 0
        task.lapsed = task.tracked = task.told = False

    def pick(self, host: Host) -> Task | None:
        """What a host with room would be given next: the best that fits it and that every key admits."""
        fitting = (task for task in self.queued() if host.fits(task) and not self.missed(task))
        return next((task for task in fitting if not self.judge(task)), None)
