"""One storm from its first misfortune to the end of all work."""

import asyncio
import contextlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Final

from coordinator.errors import CoordinatorError
from coordinator.operations import Explain, GetStatus, Hosts, Query
from tests.faults.storm import of_hands, of_hosts, of_refusals, of_server
from tests.faults.storm.fleet import HOSTS, REPLICAS
from tests.faults.storm.kinds import Kind
from tests.faults.storm.storm import Storm
from tests.model.laws import Moment, nothing_is_left_behind, slots_are_exact
from tests.model.truth import Truth
from tests.model.view import View
from tests.trees import says
from tests.waiting import wait_until

KINDS: Final = (*of_hosts.KINDS, *of_server.KINDS, *of_refusals.KINDS, *of_hands.KINDS)
AT_ONCE: Final = 5
DRY_WITHIN: Final = 90.0
_ALL: Final = {"hosts": HOSTS, "replicas": REPLICAS, "host": HOSTS, "replica": REPLICAS}


class Weather:
    """Chooses misfortunes: each kind once, in any order, then each once more; some at the same time."""

    def __init__(self, storm: Storm, pause: float, kinds: Sequence[Kind] = KINDS) -> None:
        self._storm, self._pause, self._kinds = storm, pause, kinds
        self._deck: list[Kind] = []
        self._under_way: set[asyncio.Task[None]] = set()

    async def blow(self, seconds: float) -> None:
        """Misfortunes for so long; returns when the last of them is over."""
        storm = self._storm
        while storm.ledger.now() < seconds:
            if len(self._under_way) < AT_ONCE and (chosen := self._choose()):
                task = asyncio.create_task(self._happen(*chosen))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            await asyncio.sleep(storm.chance.uniform(0.5, 1.5) * self._pause)
        await asyncio.gather(*self._under_way)

    def _choose(self) -> tuple[Kind, list[str], list[str]] | None:
        """The first of the deck for which all it needs is free; what it is given, and what it holds."""
        if not self._deck:
            self._deck = self._storm.chance.sample(self._kinds, len(self._kinds))
        for at, kind in enumerate(self._deck):
            needs = list(self._needs(kind))
            if all(needs):
                given = [self._storm.chance.choice(free) for need, free in zip(kind.needs, needs, strict=True)
                         if need in ("host", "replica")]  # fmt: skip
                held = [name for need, free in zip(kind.needs, needs, strict=True)
                        if need not in ("host", "replica") for name in free]  # fmt: skip
                return self._deck.pop(at), given, given + held
        return None

    def _needs(self, kind: Kind) -> Iterator[list[str]]:
        """Of each thing that it needs which are free; none where one of all is not."""
        for need in kind.needs:
            wanted = _ALL.get(need, (need,))
            free = self._storm.free(wanted)
            yield free if need in ("host", "replica") or len(free) == len(wanted) else []

    async def _happen(self, kind: Kind, given: list[str], held: list[str]) -> None:
        storm = self._storm
        async with storm.holding(held):
            try:
                what = await kind.work(storm, *given)
            except Exception:  # noqa: BLE001  # one that can not be done is seen in the report, and the storm goes on
                storm.violated(f"could not be done: {kind.name}: {traceback.format_exc()}")
                return
        if what:
            storm.ledger.fault(kind.name, what)
        else:  # there was nothing that it could happen to
            self._deck.append(kind)


async def run(storm: Storm, seconds: float, pause: float, kinds: Sequence[Kind]) -> None:
    """The whole storm: work is fed, misfortunes come, then all runs dry and nothing may be left."""
    for name in (*REPLICAS, *HOSTS):
        storm.fleet.start(name)
    await storm.fleet.ready(len(HOSTS))
    loops = (storm.feed, storm.read, storm.mend_gates, storm.look, storm.keep_alive, storm.tell)
    tasks = [asyncio.create_task(loop()) for loop in loops]
    try:
        await Weather(storm, pause, kinds).blow(seconds)
        storm.feeding = False
        await run_dry(storm)
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                storm.violated(f"the storm itself failed: {ended!r}")
    await storm.check()
    print(f"\r{storm.count()}", file=sys.stderr)


async def run_dry(storm: Storm) -> None:
    """Everything ends, and then no key is without an owner."""
    await storm.submit_again()

    async def dry() -> bool:
        with contextlib.suppress(CoordinatorError):
            status = await storm.fleet.store.run(GetStatus())
            return not status.running and not status.queued
        return False

    try:
        await wait_until(dry, "everything has ended", DRY_WITHIN, every=0.2)
    except AssertionError:
        storm.violated(f"did not run dry: {await _why(storm)}")
        return
    await asyncio.sleep(0.5)
    keys = View(await storm.fleet.keys())
    for law in (slots_are_exact, nothing_is_left_behind):
        try:
            law(Moment(keys, keys, Truth(), set(), []))
        except AssertionError as error:
            storm.violated(f"{law.__name__}: {error}")
    await storm.told.read()
    for name in storm.ledger.submitted:
        if name not in storm.told.ever and not _ended_on_disk(storm, name):
            known = (await storm.ask(Query(workspace=name))).workspaces
            if not known or known[0].status in ("queued", "running"):
                storm.violated(f"lost: nobody knows how {name} ended: {known}")


def _ended_on_disk(storm: Storm, name: str) -> bool:
    """Whether a disk says that it has ended: told to an empty server it is no fact, and history forgets the record."""
    return any(says(storm.fleet.root_of(host), name) not in ("", "queued", "running") for host in HOSTS)


async def _why(storm: Storm) -> str:
    """What holds back what still waits or runs."""
    status, hosts = await storm.ask(GetStatus()), await storm.ask(Hosts())
    said = [str(status), str(hosts)]
    for wanted in ("running", "queued"):
        names = (await storm.ask(Query.model_validate({"status": wanted, "names": True, "count": 5}))).names
        for name in names:
            why = await storm.ask(Explain(workspace=name))
            said.append(f"{wanted} {name}: {why}")
    return "\n".join(said)
