"""Days of a fleet in a moment: hosts and runs are only numbers, the clock is a key, every decision is the library's.

`simulate(world, ...)` plays a workload through the verbs; `played(...)` plays it through a plain rule instead.
"""

import heapq
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from coordinator.models import Grant
from coordinator.operations import Apply, Claim, Complete, Renew, Submit, Thaw
from coordinator.operations.apply import FleetSettings
from coordinator.operations.claim import Asking
from tests.model.world import START, World

DAY: Final = 86_400_000
MEAN: Final = 600_000  # ms of a run


@dataclass(frozen=True)
class Work:
    """How many workspaces a repo has, for which pool, when it comes with them, and their runs' mean length (ms)."""

    repo: str
    count: int
    pool: str = "codex"
    after: int = 0
    mean: int = MEAN


@dataclass(frozen=True)
class Host:
    """How much a host runs, and of which pools."""

    name: str
    slots: int
    pools: tuple[str, ...] = ("codex",)


@dataclass(frozen=True)
class Run:
    """One run of a repo, from its grant to its end, in ms since the beginning."""

    repo: str
    began: int
    ended: int

    def between(self, since: int, until: int) -> int:
        """How long it ran between the two."""
        return max(min(self.ended, until) - max(self.began, since), 0)


@dataclass(frozen=True)
class Played:
    """Every run there was, when the last repo came, and since when each had none waiting."""

    runs: tuple[Run, ...]
    since: int
    emptied: dict[str, int]

    @property
    def until(self) -> int:
        """Between `since` and this every repo had something waiting."""
        return min(self.emptied.values())

    def got(self, until: int | None = None) -> dict[str, int]:
        """Slot-milliseconds of each repo since all had work."""
        until = self.until if until is None else until
        got = dict.fromkeys(self.emptied, 0)
        for run in self.runs:
            got[run.repo] += run.between(self.since, until)
        return got

    def longest(self) -> int:
        """The longest run of those that ran while all had work, whole."""
        return max(run.ended - run.began for run in self.runs if run.ended > self.since and run.began <= self.until)

    def lag(self, weights: Mapping[str, float]) -> int:
        """The most, at any moment while all had work, that a repo was from its fair share, in slot-milliseconds."""
        worst, total = 0.0, sum(weights.get(repo, 1) for repo in self.emptied)
        moments = {when for run in self.runs for when in (run.began, run.ended) if self.since <= when <= self.until}
        for moment in moments:
            got = self.got(moment)
            everything = sum(got.values())
            for repo, ms in got.items():
                worst = max(worst, abs(ms - everything * weights.get(repo, 1) / total))
        return round(worst)

    def finished(self, repo: str) -> int:
        return max(run.ended for run in self.runs if run.repo == repo)


#: The lengths of each repo's runs, in the order of its workspaces.
Lengths = dict[str, list[int]]


def lengths(work: Iterable[Work], seed: int) -> Lengths:
    """Drawn from a heavy tail: lognormal, sigma 1.2; one in 8 is above twice the mean, one in 160 above ten times."""
    chance, sigma = random.Random(seed), 1.2
    return {
        one.repo: [
            max(round(one.mean * chance.lognormvariate(-sigma * sigma / 2, sigma)), 1000) for _ in range(one.count)
        ]
        for one in work
    }


class _Fleet:
    """Hosts that claim when they are poked and when a run of theirs ends."""

    def __init__(self, world: World, hosts: Iterable[Host]) -> None:
        self.world, self.free, self.seq = world, {host.name: host.slots for host in hosts}, count(1)

    def asking(self, host: str) -> dict[str, Any]:
        return {"host": host, "incarnation": "i", "seq": next(self.seq), "count": self.free[host]}

    def look(self, first: Iterable[str] = ()) -> list[tuple[str, Grant]]:
        """These hosts claim, and whoever is poked for it, until nobody is."""
        given: list[tuple[str, Grant]] = []
        turn = deque(first)
        while turn or (turn := deque(self.world.heard())):
            host = turn.popleft()
            answer = self.world.ask(Claim(**self.asking(host))) if self.free[host] else None
            given += self.given(host, answer.grants if answer else ())
            if answer and answer.more:
                turn.appendleft(host)
        return given

    def given(self, host: str, grants: Iterable[Grant]) -> list[tuple[str, Grant]]:
        given = [(host, grant) for grant in grants]
        self.free[host] -= len(given)
        return given


def simulate(
    world: World,
    work: Iterable[Work],
    hosts: Iterable[Host],
    took: Lengths,
    *,
    limits: Mapping[str, int] | None = None,
    setting: Callable[[World], object] = lambda _: None,
) -> Played:
    """What comes at the same moment is asked for in this order; `world` is empty and its clock a key."""
    hosts, to_come = tuple(hosts), deque(sorted(work, key=lambda one: one.after))
    world.set_clock(START)
    world.ask(Apply(limits=dict(limits or {}), settings=FleetSettings(beat=30 * DAY, lease_ttl=100 * DAY)))
    world.ask(Thaw())
    setting(world)
    for one in hosts:
        world.listen(one.name)
        world.ask(Renew(host=one.name, incarnation="i", pools=list(one.pools), slots=one.slots))
    fleet, log = _Fleet(world, hosts), _Log(to_come)
    ends: list[tuple[int, int, str, Grant]] = []

    def begin(given: list[tuple[str, Grant]]) -> None:
        for host, grant in given:
            repo, _, number = grant.workspace.partition("/t")
            heapq.heappush(ends, (log.began(repo, now, took[repo][int(number)]), grant.token, host, grant))

    while ends or to_come:
        if to_come and (not ends or to_come[0].after <= ends[0][0]):
            now = to_come[0].after
            world.set_clock(START + now)
            while to_come and to_come[0].after == now:
                new = to_come.popleft()
                for number in range(new.count):
                    world.ask(Submit(workspace=f"{new.repo}/t{number}", agent=new.pool, repo=new.repo))
            begin(fleet.look([] if now else [one.name for one in hosts]))
            continue
        now, _, host, grant = heapq.heappop(ends)
        world.set_clock(START + now)
        fleet.free[host] += 1
        asking = Asking(**fleet.asking(host))
        answer = world.ask(Complete(workspace=grant.workspace, token=grant.token, status="completed", claim=asking))
        assert answer.outcome == "completed", answer
        begin(fleet.given(host, answer.grants))
        begin(fleet.look([host] if answer.more else ()))
    return log.played()


class _Log:
    """What began when, and what still waits."""

    def __init__(self, work: Iterable[Work]) -> None:
        work = tuple(work)
        self.waiting = {one.repo: one.count for one in work}
        self.emptied: dict[str, int] = {}
        self.runs: list[Run] = []
        self.since = max(one.after for one in work)

    def began(self, repo: str, now: int, took: int) -> int:
        """When it will have ended."""
        self.runs.append(Run(repo, now, now + took))
        self.waiting[repo] -= 1
        if not self.waiting[repo]:
            self.emptied[repo] = now
        return now + took

    def played(self) -> Played:
        assert not any(self.waiting.values()), f"nothing runs and this waits: {self.waiting}"
        return Played(tuple(self.runs), self.since, self.emptied)


def played(work: Iterable[Work], slots: int, took: Lengths, weights: Mapping[str, float]) -> Played:
    """The same by a plain rule that knows all: a slot goes to the repo that had least for its weight, of all time when
    both had work.
    """
    work = tuple(work)
    log, waits, got = _Log(work), {one.repo: deque(took[one.repo]) for one in work}, {one.repo: 0.0 for one in work}
    now, ends, to_come = 0, list[tuple[int, str]](), deque(sorted(work, key=lambda one: one.after))
    here: set[str] = set()
    while ends or to_come or any(waits[repo] for repo in here):
        while to_come and to_come[0].after <= now:
            one = to_come.popleft()
            got[one.repo] = min((got[repo] for repo in here if waits[repo]), default=0.0)  # not paid for its absence
            here.add(one.repo)
        holds = Counter(repo for _, repo in ends)
        wanting = [repo for repo in here if waits[repo]]
        if wanting and len(ends) < slots:
            repo = min(wanting, key=lambda one: (got[one], holds[one] / weights.get(one, 1), one))
            heapq.heappush(ends, (log.began(repo, now, waits[repo].popleft()), repo))
            continue
        then = min([ended for ended, _ in ends] + [one.after for one in to_come])
        for repo, number in holds.items():
            got[repo] += (then - now) * number / weights.get(repo, 1)
        now = then
        while ends and ends[0][0] <= now:
            heapq.heappop(ends)
    return log.played()
