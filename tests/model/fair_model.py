"""Whose turn it is, in plain Python: what each lane has used, and where who comes back begins. Times are ms."""

import math
from dataclasses import dataclass, field

EXPECTED, LEAST, CREDIT_RUNS = 1_800_000, 1000, 1
SUMMER = 1_700_000_000_000
BAND, HIGHEST = 5 * 10**12, 19


@dataclass
class Lane:
    """Workspaces of one route, one band and the same limit keys. It is remembered when none of them waits."""

    route: str
    own: int  # its band: two for each priority, the upper for those that were put in front
    keys: tuple[str, ...]
    used: int | None = None  # slot-ms over its weight; None before it first waits
    expected: int = EXPECTED
    since: int = 0  # its last start, or when it began to wait
    ages: int = 0  # when somebody looks whether it has waited too long; 0: never
    waits: bool = False
    band: int = 0
    filed: int = 0  # what its order in the band goes by, until somebody looks
    under_way: list[tuple[int, int]] = field(default_factory=list)  # (start, charge) of its runs

    @property
    def score(self) -> int:
        return (HIGHEST - self.band) * BAND + self.filed

    @property
    def told(self) -> str:
        starts = sum(start - SUMMER for start, _ in self.under_way)
        runs = f"{len(self.under_way)} {starts} {sum(charge for _, charge in self.under_way)}"
        aged = f" {self.band}" if self.waits and self.band != self.own else ""
        return f"{self.used} {self.expected} {self.since} {self.ages} {runs}{aged}"


@dataclass
class Fairness:
    """All lanes, and the virtual time of each band of each route."""

    ageing: int = 3_600_000
    lanes: dict[str, Lane] = field(default_factory=dict)
    reached: dict[tuple[str, int], int] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)

    def weight(self, lane: Lane) -> int:
        return next((self.weights[key] for key in lane.keys if key in self.weights), 1)

    def began(self, name: str, told: str) -> int:
        """Where a lane stood before those of its runs that have just started, by what is told of it now."""
        used, _, _, _, runs, _, charges = map(int, told.split()[:7])
        before = self.lanes[name].under_way if name in self.lanes else []
        started, charged = runs - len(before), charges - sum(charge for _, charge in before)
        weight = next((self.weights[key] for key in name.split(" ")[1:] if key in self.weights), 1)
        return used - started * math.ceil(charged / started / weight) if started > 0 else used

    def now_used(self, lane: Lane, now: int) -> int:
        """What it has used, with what its runs took beyond their charge."""
        took = sum(now - start - charge for start, charge in lane.under_way)
        return (lane.used or 0) + max(math.ceil(took / self.weight(lane)), 0)

    def place(self, lane: Lane, now: int) -> int:
        """Where it stands in its band when somebody looks."""
        return max(lane.filed, self.now_used(lane, now)) if lane.band == lane.own else lane.filed

    def look(self, name: str, score: float, now: int) -> None:
        """Somebody looked at a lane and put it further back."""
        assert name in self.lanes, f"nothing waits in {name}"
        lane = self.lanes[name]
        if lane.waits and score == (HIGHEST - lane.band) * BAND + self.place(lane, now):
            lane.filed = self.place(lane, now)

    def _arrive(self, route: str, band: int) -> int:
        self.reached[route, band] = self.reached.get((route, band), 0) + 1
        return self.reached[route, band]

    def _time(self, lane: Lane, now: int) -> None:
        steps = (lane.band - lane.own) // 2 + 1
        when = lane.since + steps * self.ageing if self.ageing > 0 and lane.band < HIGHEST - 1 else 0
        if when == 0 or lane.ages <= now or when < lane.ages:
            lane.ages = when

    def enter(self, name: str, lane: Lane, now: int) -> None:
        """A lane begins to wait, unless it waits already."""
        lane = self.lanes.setdefault(name, lane)
        if lane.waits:
            return
        if lane.used is None or lane.used <= self.reached.get((lane.route, lane.own), 0):
            lane.used = self._arrive(lane.route, lane.own)
        lane.waits, lane.band, lane.filed, lane.since, lane.ages = True, lane.own, lane.used, now, 0
        self._time(lane, now)

    def leave(self, name: str) -> None:
        """Nothing of it waits any more."""
        self.lanes[name].waits, self.lanes[name].ages = False, 0

    def charge(self, name: str, now: int) -> int:
        """One of it starts; what its start was charged."""
        lane = self.lanes[name]
        assert lane.used is not None
        place = lane.route, lane.own
        reached, charge = self.reached.get(place, 0), math.ceil(lane.expected / self.weight(lane))
        used = self.now_used(lane, now)
        start = max(used, reached - CREDIT_RUNS * charge)
        self.reached[place] = max(reached, start)
        self.turns[lane.route] = max(self.turns.values(), default=0) + 1
        lane.filed = start + charge
        lane.used += lane.filed - used
        lane.under_way.append((now, lane.expected))
        lane.since, lane.band = now, lane.own
        self._time(lane, now)
        return lane.expected

    def settle(self, name: str, charged: int, started: int, now: int) -> None:
        """One of it has ended."""
        lane = self.lanes[name]
        assert lane.used is not None
        weight, took = self.weight(lane), max(now - started, LEAST)
        lane.used = max(lane.used + math.ceil(took / weight) - math.ceil(charged / weight), 0)
        lane.expected = max(lane.expected + (took - lane.expected) // 4, LEAST)
        lane.under_way.remove((started, charged))
        if lane.waits and lane.band == lane.own:
            lane.filed = self.now_used(lane, now)

    def age(self, now: int, most: int) -> None:
        """Those that started nothing for long move up a band."""
        due = sorted((lane.ages, name) for name, lane in self.lanes.items() if lane.waits and 0 < lane.ages <= now)
        for _, name in due[:most]:
            lane = self.lanes[name]
            waited = (now - lane.since) // self.ageing if self.ageing > 0 and lane.own < HIGHEST - 1 else 0
            lane.band = min(lane.own + 2 * waited, HIGHEST - 1) if waited else lane.own
            if lane.band > lane.own:
                lane.filed = self._arrive(lane.route, lane.band)
            else:
                lane.filed = self.now_used(lane, now)
            self._time(lane, now)

    def next_of(self, lanes: list[str], now: int, told: str | None) -> str | None:
        """Of lanes that may start on a host, the one whose turn it is; of equals the one that was told."""
        if not lanes:
            return None
        band = max(self.lanes[name].band for name in lanes)
        best: dict[str, str] = {}
        for name in sorted(lanes, key=lambda name: (self.place(self.lanes[name], now), name != told, name)):
            if self.lanes[name].band == band:
                best.setdefault(self.lanes[name].route, name)
        return best[min(best, key=lambda route: (self.turns.get(route, 0), route))]
