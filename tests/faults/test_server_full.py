"""A server whose memory is full: new work is refused, and all that frees something goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from coordinator.errors import StoreUnusable
from coordinator.operations import Submit
from tests import record
from tests.fleet import Fleet
from tests.forgetful import Forgetful
from tests.waiting import wait_until

SHORT: dict[str, object] = {"lease_ttl": "3s", "beat": "500ms", "kill_grace": "1s"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Forgetful]:
    with Forgetful(tmp_path / "server", **{"maxmemory-policy": "noeviction"}) as server:
        yield server


async def test_endings_beats_and_reaping_go_on_and_what_is_refused_says_why(server: Forgetful, tmp_path: Path) -> None:
    ends, runs_on, waits = [f"a/{at}" for at in range(2)], ["b/0"], ["c/0"]
    async with Fleet(server.url, tmp_path, {"codex": 3}, None, **SHORT) as fleet, Redis.from_url(server.url) as redis:
        await fleet.begin(9)
        await begin(fleet, ends, 1)
        await begin(fleet, runs_on, 4)
        await fleet.store.run(Submit(workspace="held", agent="claude", asker="service", ttl=1000))
        await redis.config_set("maxmemory", "1")
        await redis.publish("{dispatch}:poke:h1", "")
        refused = "Redis is out of memory"
        await wait_until(lambda: f"ask waits: {refused}" in fleet.said("h1"), "a claim is refused")
        with pytest.raises(StoreUnusable, match=refused):
            await fleet.store.run(Submit(workspace=waits[0], agent="codex", task="0"))
        for name in ends:
            await fleet.becomes(name, "completed")
        await fleet.becomes("held", "blocked")  # its lease has run out
        for name in runs_on:  # longer than a lease lasts
            await fleet.becomes(name, "completed")
        await redis.config_set("maxmemory", "0")
        await begin(fleet, waits, 0)
        for name in waits:
            await fleet.becomes(name, "completed")
        names = [*ends, *runs_on, *waits]
        assert record.broken(record.written(fleet.marks), {"codex": 3}, names) == []
        assert {name: (await fleet.record(name)).runs for name in names} == dict.fromkeys(names, 1)


async def begin(fleet: Fleet, names: list[str], seconds: float) -> None:
    """Dispatch them, and wait until they run."""
    for name in names:
        await fleet.store.run(Submit(workspace=name, agent="codex", task=str(seconds)))
    await wait_until(
        lambda: set(names) <= {run.workspace for run in record.runs(record.written(fleet.marks))}, f"{names} run"
    )
