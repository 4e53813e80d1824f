"""What the truth is told in: a workspace, a host, a refusal. Times are epoch milliseconds."""

from dataclasses import dataclass, field
from typing import NamedTuple

from coordinator.words import limit_keys, pool_of

COMMON = 10  # the band of those that asked for nothing


class No(NamedTuple):
    """What a refusal must say."""

    key: str
    reason: str
    used: int
    limit: int | None
    until: int | None = None


class Signed(NamedTuple):
    """A freeze that somebody has signed: by whom, why, since when."""

    by: str | None
    reason: str | None
    at: int


@dataclass
class Task:
    """A workspace. `order` is its place in its lane; `extra` are limit keys it names."""

    name: str
    agent: str
    order: int
    org: str | None = None
    repo: str | None = None
    extra: tuple[str, ...] = ()
    priority: int = 5
    front: bool = False  # put before the others of its priority, for its next run
    requires: str | None = None
    labels: frozenset[str] = frozenset()
    status: str = ""
    attempt: int = 0
    runs: int = 0
    host: str | None = None
    mode: str | None = None
    machine: str | None = None
    token: int = 0
    past: int = 0  # of one that was asked for anew: the token of the run before
    ttl: int = 0
    deadline: int = 0
    confirmed: bool = False
    stilled: bool = False  # when its host told of it again its agent stood still, and it has not been judged
    killed: bool = False
    asked: str | None = None  # the id it was asked for under
    answer: str | None = None  # told to every run until one ends
    ran_on: str | None = None
    account: str | None = None  # that it runs under
    pinned: bool = False  # `requires` is where it last ran, for an answer's sake
    not_before: int | None = None
    awaited: bool = False  # it waits for `not_before`, in no lane
    start_by: int | None = None  # the deadline it was given; `deadline` is its lease's
    since: int = 0  # its last change of status
    started: int = 0
    charged: int | None = None  # what its lane was charged for the run
    took: int = 0  # its last run
    cost: int = 0  # all its runs
    tracked: bool = False  # its run was entered by track
    told: bool = False  # its ending was told by track
    lapsed: bool = False  # that run has no proof of death
    dated: int | None = None  # the date of the last statement that track took
    ended_at: int = 0
    receipt: str | None = None  # what the end of its last run found

    def go_to(self, agent: str) -> None:
        """Another agent takes it; it leaves the accounts of a pool with the pool."""
        pool, self.agent = self.keys[0], agent
        if self.keys[0] != pool:
            self.extra = tuple(key for key in self.extra if not key.startswith(f"account:{pool}/"))

    @property
    def newest(self) -> int:
        """The highest token that is known of it; 0: it never ran."""
        return self.token or self.past

    @property
    def keys(self) -> tuple[str, ...]:
        """Its limit keys, in the order of admission, without `*`."""
        return tuple(limit_keys(self.agent, self.org or "", self.repo or "", self.extra, self.labels)[1:])

    @property
    def held(self) -> tuple[str, ...]:
        """The keys whose slots a run of it holds, without `*`."""
        own = [f"account:{self.keys[0]}/{self.account}"] if self.account else []
        return tuple(dict.fromkeys((*self.keys, *own)))

    @property
    def route(self) -> str:
        where = f"@{self.requires}" if self.requires else ""
        return pool_of(self.agent) + where + "".join(f"+{label}" for label in sorted(self.labels))

    @property
    def lane(self) -> str:
        return " ".join((self.route, *self.keys, *([] if self.band == COMMON else [f"#{self.band}"])))

    @property
    def band(self) -> int:
        return 2 * self.priority + self.front


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
    fresh: bool = True  # this server has never heard all that it holds
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
