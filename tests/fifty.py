"""Fifty agents on two hosts, of which half are let go first; more wait than fit. What holds after a misfortune."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from coordinator.operations import Limit, Submit
from tests import record
from tests.fleet import Fleet
from tests.gates import Gate
from tests.marks import Mark
from tests.waiting import wait_until

SHORT: dict[str, object] = {"lease_ttl": "30s", "beat": "1s", "kill_grace": "3s"}
HOSTS = ("h1", "h2")
LIMIT = 50
FIRST, LAST = [f"first/{at}" for at in range(25)], [f"last/{at}" for at in range(25)]
NEXT = [f"next/{at}" for at in range(40)]


class Fifty(NamedTuple):
    """The fleet, and what its agents wait for: those of FIRST, and all others."""

    fleet: Fleet
    first: Gate
    last: Gate


@asynccontextmanager
async def fifty(url: str, place: Path) -> AsyncIterator[Fifty]:
    """They run."""
    first, last = Gate(place / "first"), Gate(place / "last")
    async with Fleet(url, place, {"codex": LIMIT + 10}, None, **SHORT) as fleet:
        fleet.serve("r1")
        for host in HOSTS:
            fleet.work(host, 40)
        await fleet.ready(len(HOSTS))
        await fleet.store.run(Limit(key="codex", limit=LIMIT))  # which no file knows
        await submit(fleet, FIRST, str(first.path))
        await submit(fleet, LAST, str(last.path))
        await wait_until(lambda: len(seen(fleet)) == LIMIT, "fifty run", 30, every=0.05)
        try:
            yield Fifty(fleet, first, last)
        finally:
            first.open()
            last.open()


def seen(fleet: Fleet) -> list[Mark]:
    """What the agents say of themselves."""
    return record.written(fleet.marks)


async def submit(fleet: Fleet, names: list[str], task: str) -> None:
    """Ask for them all at once."""
    asked = [Submit(workspace=name, agent="codex", task=task) for name in names]
    await asyncio.gather(*(fleet.store.run(each) for each in asked))


async def ended(fleet: Fleet, count: int) -> None:
    """Wait until so many agents have ended, whoever knows of it."""
    await wait_until(lambda: sum(mark.what == "end" for mark in seen(fleet)) >= count, f"{count} end", 30, every=0.05)


async def all_are_told_once(fleet: Fleet) -> None:
    """All have completed. What agents say, what the registry says and what was told agree, and nothing is held."""
    names = [*FIRST, *LAST, *NEXT]
    for name in names:
        await fleet.becomes_known(name, "completed")
    marks = seen(fleet)
    assert record.broken(marks, {"codex": LIMIT}, names) == []
    assert record.killed(marks) == []
    assert record.most_at_once(marks)["codex"] == LIMIT
    status = await fleet.drained(10)
    assert status.completed == len(names)
    assert {name: (await fleet.record(name)).runs for name in names} == dict.fromkeys(names, 1)
    assert await fleet.store.redis.scard(fleet.store.key("slots", "*")) == 0
    facts = [entry for entry in await fleet.store.last_events(10_000) if entry.type == "AgentCompleted"]
    assert set(Counter(fact.json for fact in facts).values()) <= {1}
