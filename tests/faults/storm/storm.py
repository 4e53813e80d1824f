"""The storm: work is fed to a fleet, misfortunes come over it, and what its agents do is looked at."""

import asyncio
import contextlib
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, TypeVar

from coordinator.errors import CoordinatorError
from coordinator.operations import BackOff, GetStatus, Submit
from coordinator.operations._operation import Operation
from coordinator.store import Store
from tests import record
from tests.faults.storm import checker
from tests.faults.storm.fleet import HOSTS, REPLICAS, StormFleet
from tests.faults.storm.ledger import Ledger
from tests.faults.storm.told import Told

T = TypeVar("T")
ASK_WITHIN: Final = 20.0  # seconds; no misfortune keeps the server away for so long
OPEN: Final = 24  # workspaces that wait or run
REPOS: Final = ("a", "b", "c", "d", "e")
AGENTS: Final = ("codex", "codex:gpt-5.4", "claude", "claude:opus")
BEATS: Final = (1, 3, 6, 10, 15, 25, 40)
TASKS: Final = ("plain",) * 6 + ("deaf",) * 2 + ("wild",) * 2 + ("failing",)


class Violation(NamedTuple):
    """What went against a promise, and when it was seen (seconds since the storm began)."""

    at: float
    text: str


class Storm:
    """One storm over one fleet. `chance` decides everything that the machine's own time does not."""

    def __init__(self, fleet: StormFleet, ledger: Ledger, seed: int) -> None:
        self.fleet, self.ledger, self.chance = fleet, ledger, random.Random(seed)
        self.told = Told(fleet)
        self.violations: list[Violation] = []
        self.busy: set[str] = set()
        """What a misfortune holds just now: a host, a replica, `server`, `rules`."""
        self.feeding = True
        self._numbers = 0

    async def ask(self, operation: Operation[T]) -> T:
        """A verb, until it is answered. What it changed may be forgotten again by the server."""
        return await self.insist(lambda store: store.run(operation))

    async def insist(self, ask: Callable[[Store], Awaitable[T]]) -> T:
        """Ask by a connection of its own time until that is answered; the last error after `ASK_WITHIN` seconds."""
        until = self.ledger.now() + ASK_WITHIN
        while True:
            try:
                return await ask(self.fleet.store)
            except CoordinatorError:
                if self.ledger.now() > until:
                    raise
                await asyncio.sleep(0.1)

    def free(self, names: Collection[str]) -> list[str]:
        return [name for name in names if name not in self.busy]

    @asynccontextmanager
    async def holding(self, names: Collection[str]) -> AsyncIterator[None]:
        """No other misfortune takes these meanwhile."""
        self.busy.update(names)
        try:
            yield
        finally:
            self.busy.difference_update(names)

    def violated(self, text: str) -> None:
        """Say it once, with the misfortunes of the last seconds."""
        if any(known.text == text for known in self.violations):
            return
        self.violations.append(Violation(self.ledger.now(), text))
        print(f"\nVIOLATION at {self.ledger.now():.1f} s: {text}", file=sys.stderr)
        for fault in self.ledger.recent():
            print(f"    {fault.at:7.1f} s  {fault.kind}: {fault.what}", file=sys.stderr)

    def open(self) -> list[str]:
        """Workspaces whose ending nobody has told yet."""
        return [name for name in self.ledger.submitted if name not in self.told.ever]

    async def feed(self) -> None:
        """Keep a steady number of workspaces waiting."""
        while True:
            await asyncio.sleep(0.1)
            if self.feeding and len(self.open()) < OPEN:
                self._numbers += 1
                name = f"{self.chance.choice(('core', 'side'))}/{self.chance.choice(REPOS)}/t{self._numbers}"
                task = f"{self.chance.choice(TASKS)} {self.chance.choice(BEATS)}"
                self.ledger.submitted[name] = (self.chance.choice(AGENTS), task)
                await self.submit(name)

    async def submit(self, name: str) -> None:
        """Ask for a workspace; twice is once."""
        agent, task = self.ledger.submitted[name]
        org, repo, _ = name.split("/")
        await self.ask(Submit(workspace=name, agent=agent, task=task, org=org, repo=repo))

    async def submit_again(self) -> None:
        """The server has lost what it knew: what nobody knows to have ended is asked for again."""
        gone = [name for name in self.ledger.submitted if name not in self.told.ever]
        for name in gone:
            await self.submit(name)

    async def mend_gates(self) -> None:
        """Agents that the storm kills look as if their provider refused them: nothing shall wait half an hour."""
        while True:
            await asyncio.sleep(1)
            with contextlib.suppress(CoordinatorError):
                status = await self.fleet.store.run(GetStatus())
                for view in status.keys:
                    if view.until and view.reason == "backoff":
                        await self.fleet.store.run(BackOff(key=view.key, clear=True))

    async def read(self) -> None:
        """Hear what is told, soon after it is."""
        while True:
            await asyncio.sleep(0.3)
            with contextlib.suppress(CoordinatorError):
                await self.told.read()

    async def look(self) -> None:
        """Hold what is known against the promises, again and again."""
        while True:
            await asyncio.sleep(3)
            await self.check()

    async def check(self) -> None:
        marks = record.written(self.fleet.marks)
        for text in await asyncio.to_thread(checker.broken, marks, self.told.now, self.ledger):
            self.violated(text)

    async def keep_alive(self) -> None:
        """What starts them starts them again; that one ends by itself though it had begun is a fault."""
        while True:
            await asyncio.sleep(0.5)
            for name in self.free((*HOSTS, *REPLICAS)):
                code = self.fleet.processes[name].poll()
                if code is None:
                    continue
                if not self.fleet.refused(name):
                    last = self.fleet.said(name)[-600:]
                    self.violated(f"ended by itself: {name} with {code} at {self.ledger.now():.0f} s: {last}")
                self.fleet.start(name)

    async def tell(self) -> None:
        """The running count."""
        while True:
            await asyncio.sleep(5)
            print(f"\r{self.count()}", end="", file=sys.stderr, flush=True)

    def count(self) -> str:
        told = self.told
        return (
            f"{self.ledger.now():6.0f} s  faults {len(self.ledger.faults)}  workspaces {len(self.ledger.submitted)}"
            f"  grants {told.grants}  endings {told.endings}  lost {told.losses}  violations {len(self.violations)}"
        )
