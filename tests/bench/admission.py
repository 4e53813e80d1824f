"""What one complete-and-claim costs: 100,000 workspaces wait in 100 lanes of 5 limit keys, 1,000 leases are live.

`python -m tests.bench.admission [ROUNDS] [--table] [--valkey] [--profile]`: server time and Redis calls of
`dispatch_complete` with a claim in it, while every limit has room (the hosts are full), and while the pool is full and
every lane is blocked on it. The server is asked once and then waits, as in life, and a hundred times `in a row`, when
the processor still knows the way: then also by its own `processor` time, in which nobody else counts, but reading and
answering do. The Redis calls are counted at a pace of life. `--table` says what was spent on which command, `--profile`
on which words of the library.
"""

import sys
from collections import deque
from collections.abc import Iterator
from itertools import count
from threading import Event
from typing import Any, Final

from coordinator import library
from coordinator.models import Grant
from coordinator.operations import Apply, BackOff, Claim, Complete, Renew, Submit, Thaw
from coordinator.operations._operation import Operation
from coordinator.operations.claim import Asking
from tests.bench import profile
from tests.bench.spending import log_every_call, measure
from tests.model.world import ROOT, World
from tests.servers import REDIS, VALKEY, Servers

HOSTS: Final = 10
HELD: Final = 100  # by each host
LANES: Final = 100
WAITING: Final = 100_000


class Fleet:
    """Ten hosts with a hundred runs each, all of one model of one pool, and 100 repos that wait for it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._names = count()
        self._seq = dict.fromkeys((f"h{number}" for number in range(HOSTS)), 0)
        self._held: dict[str, deque[Grant]] = {host: deque() for host in self._seq}
        self._turn = deque(self._seq)
        self.slots = HELD
        world.ask(Apply(limits=self.limits(2 * HOSTS * HELD)))
        world.ask(Thaw())
        for host in self._seq:
            world.listen(host)
        self.beat(HELD)
        self.fill(WAITING + HOSTS * HELD)
        for host in self._seq:
            while len(self._held[host]) < HELD:
                asking = self._asking(host) | {"count": HELD}
                self._held[host] += world.ask(Claim(**asking)).grants
        assert self.leases() == HOSTS * HELD

    @staticmethod
    def limits(pool: int) -> dict[str, int]:
        rest = ("*", "codex:gpt-5.4", "org:core", "repo:*")
        return {"codex": pool, **dict.fromkeys(rest, 2 * HOSTS * HELD)}

    def beat(self, slots: int) -> None:
        self.slots = slots
        for host in self._seq:
            self.world.ask(Renew(host=host, incarnation="i", pools=["codex"], slots=slots))

    def leases(self) -> int:
        return int(self.world.redis.zcard(f"{ROOT}:leases"))

    def waiting(self) -> int:
        return int(self.world.redis.zcard(f"{ROOT}:status:queued"))

    def fill(self, most: int) -> None:
        """As many wait as shall."""
        names = (next(self._names) for _ in range(most - self.waiting()))
        asked(self.world, (self._submit(name) for name in names))

    @staticmethod
    def _submit(number: int) -> Submit:
        lane = number % LANES
        return Submit(
            workspace=f"repo{lane}/task-{number}",
            agent="codex:gpt-5.4",
            org="core",
            repo=f"repo{lane}",
            task="Fix the reader.",
        )

    def _asking(self, host: str) -> dict[str, Any]:
        self._seq[host] += 1
        return {"host": host, "incarnation": "i", "seq": self._seq[host], "count": self.slots - HELD + 1}

    def step(self, times: int = 1) -> int:
        """The hosts in turn end their oldest run, and are given the next, so often in one round trip."""
        turns = []
        for _ in range(times):
            host, ended = self._turn[0], self._held[self._turn[0]].popleft()
            self._turn.rotate(-1)
            asking = Asking(**self._asking(host))
            turns.append(
                (host, Complete(workspace=ended.workspace, token=ended.token, status="completed", claim=asking))
            )
        for (host, _), text in zip(turns, asked(self.world, (ending for _, ending in turns)), strict=True):
            grants = Complete.reply.validate_json(text).grants
            assert len(grants) == 1, f"one for one, not {len(grants)}"
            self._held[host] += grants
        return times

    def exchange(self) -> tuple[str, str]:
        """One step; answers which workspace ended, and which started for it."""
        host = self._turn[0]
        ended = self._held[host][0].workspace
        self.step()
        return ended, self._held[host][-1].workspace


def asked(world: World, operations: Iterator[Operation[Any]]) -> list[str]:
    """The answers to many questions, two hundred in one round trip."""
    pipe, answers = world.redis.pipeline(transaction=False), list[str]()
    for number, operation in enumerate(operations, 1):
        pipe.execute_command("FCALL", f"dispatch_{operation.name}", 1, ROOT, operation.encoded())  # type: ignore[no-untyped-call]
        if number % 200 == 0:
            answers += pipe.execute()
    return answers + pipe.execute()


def room(fleet: Fleet) -> None:
    fleet.beat(HELD)
    fleet.world.ask(Apply(limits=fleet.limits(2 * HOSTS * HELD)))
    for _ in range(HOSTS):
        fleet.step()


def saturated(fleet: Fleet) -> None:
    """The hosts could hold twice as many; the pool is full, and each lane has found that out."""
    fleet.world.ask(Apply(limits=fleet.limits(HOSTS * HELD)))
    fleet.beat(2 * HELD)
    for _ in range(2 * LANES):
        fleet.step()
    blocked = int(fleet.world.redis.zcard(f"{ROOT}:blocked:codex:codex"))
    assert blocked >= LANES - 1, f"every lane is blocked on the pool, not {blocked}"


def gated(fleet: Fleet) -> None:
    fleet.world.ask(BackOff(key="claude", duration=3_600_000))


def open_again(fleet: Fleet) -> None:
    fleet.world.ask(BackOff(key="claude", clear=True))


def main(rounds: int, *, kind: str, table: bool, text: str) -> None:
    servers = Servers()
    try:
        world = World(kind, servers, text)
        log_every_call(world)
        fleet = Fleet(world)
        print(
            f"{fleet.waiting():,} wait in {LANES} lanes of 5 limit keys, {fleet.leases():,} leases; 5 x {rounds} calls"
        )
        print(f"{'scene':<52} {'median us':>9} {'p99 us':>8} {'in a row':>9} {'processor':>9} {'redis calls':>11}")
        for name, scene in (("room under every limit", room), ("the pool full, every lane blocked", saturated)):
            scene(fleet)
            show(name, fleet, rounds, table=table)
            with world.redis.pubsub() as bus:  # type: ignore[no-untyped-call]
                bus.subscribe(f"{ROOT}:bus")  # what it hears stays in its buffer
                show(f"{name}, one on the bus", fleet, rounds, table=table)
            gated(fleet)
            show(f"{name}, another key gated", fleet, rounds, table=table)
            open_again(fleet)
        world.close()
    finally:
        servers.stop()


def _apart(fleet: Fleet) -> int:
    """A step two milliseconds after another: where a thousand runs start a second, each token costs a command more."""
    Event().wait(0.002)
    return fleet.step()


def show(name: str, fleet: Fleet, rounds: int, *, table: bool) -> None:
    fleet.fill(WAITING)
    profiled = fleet.world.library != library.TEXT
    spent = measure(fleet.world, "complete", fleet.step, rounds)
    if profiled:
        profile.forget(fleet.world)
    row = measure(fleet.world, "complete", lambda: fleet.step(100), rounds)
    apart = measure(fleet.world, "complete", lambda: _apart(fleet), 50, batches=1)
    times = f"{spent.median:>9.0f} {spent.p99:>8.0f} {row.median:>9.0f} {min(row.processor):>9.0f}"
    print(f"{name:<52} {times} {apart.redis_calls:>11.1f}")
    if table:
        print(row.table())
    if profiled:
        print(profile.table(fleet.world, row.count))


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    profiled = "--profile" in sys.argv  # os.clock is Valkey's, and Redis's from 7.2
    main(
        (numbers or [400])[0],
        kind=VALKEY if profiled or "--valkey" in sys.argv else REDIS,
        table="--table" in sys.argv,
        text=profile.built(library.TEXT) if profiled else library.TEXT,
    )
