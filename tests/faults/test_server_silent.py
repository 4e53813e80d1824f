"""A server that answers no more while every connection stays open: stopped, or behind a way on which bytes get lost."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from coordinator.errors import StoreUnavailable
from coordinator.operations import GetStatus, Submit
from coordinator.store import Store
from tests import record
from tests.fleet import Fleet
from tests.forgetful import Forgetful
from tests.guarding import steady
from tests.swallowing import Swallowing
from tests.waiting import wait_until

SHORT: dict[str, object] = {"lease_ttl": "30s", "beat": "500ms", "kill_grace": "2s"}
LONGEST = 12.0  # seconds until a call must have ended: five for the answer, and as much for a busy machine


async def is_told(store: Store) -> None:
    """A call to a server that does not answer ends, and says so."""
    at = time.monotonic()
    with pytest.raises(StoreUnavailable, match="can not be reached"):
        await store.run(GetStatus())
    assert time.monotonic() - at < LONGEST


async def test_agents_run_on_and_their_endings_are_told_once_when_it_answers_again(
    server: Forgetful, tmp_path: Path
) -> None:
    """It is stopped. To one replica and one worker it stays silent for ever on the connections that were open."""
    names, new = [f"a/{at}" for at in range(6)], [f"b/{at}" for at in range(4)]
    async with Swallowing(server.url) as way, Fleet(server.url, tmp_path, {"codex": 6}, None, **SHORT) as fleet:
        for replica, worker, url in (("r1", "h1", server.url), ("r2", "h2", way.url)):
            fleet.serve(replica, url)
            fleet.work(worker, 4, url)
        await fleet.ready(2)
        await asyncio.gather(*(fleet.store.run(Submit(workspace=name, agent="codex", task="1")) for name in names))
        await wait_until(lambda: len(record.runs(record.written(fleet.marks))) == len(names), "they run")
        way.swallow()
        server.signal(signal.SIGSTOP)
        try:
            await asyncio.gather(is_told(fleet.store), wait_until(lambda: all_say_so(fleet), "all say so", 30, 0.05))
            assert record.killed(record.written(fleet.marks)) == []  # all have ended meanwhile
        finally:
            way.heal()
            server.signal(signal.SIGCONT)
        for name in names:
            await fleet.becomes(name, "completed", deadline=30)
        for name in new:
            await fleet.store.run(Submit(workspace=name, agent="codex", task="0"))
        for name in new:  # no poke to the worker that does not hear keeps them
            await fleet.becomes(name, "completed")
        assert record.broken(record.written(fleet.marks), {"codex": 6}, [*names, *new]) == []
        assert {name: (await fleet.record(name)).runs for name in names} == dict.fromkeys(names, 1)


async def test_what_was_granted_to_an_idle_worker_as_it_was_told_to_leave_runs_there_to_its_end(
    server: Forgetful, tmp_path: Path
) -> None:
    """The answer to its claim is on the way: nobody else would run that before the lease is over."""
    async with Swallowing(server.url) as way, Fleet(server.url, tmp_path, {"codex": 1}, None, **SHORT) as fleet:
        fleet.serve("r1")
        fleet.work("h1", 1, way.url)
        await fleet.ready(1)
        with way.late(b'"claimed"'):
            await fleet.store.run(Submit(workspace="a/0", agent="codex", task="0"))
            await fleet.becomes("a/0", "running")
            fleet.signal("h1")
            await wait_until(lambda: "quiet" in fleet.said("h1"), "it shall leave")
            await steady(lambda: "left" in fleet.said("h1"), "it waits for an answer")
        assert await fleet.ended("h1") == 0
        assert (await fleet.record("a/0")).status == "completed"


def all_say_so(fleet: Fleet) -> bool:
    return all("can not be reached" in fleet.said(name) for name in fleet.processes)
