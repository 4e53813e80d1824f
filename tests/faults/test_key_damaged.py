"""A record that somebody damaged by hand as its agent runs: its ending waits, and nothing else of its host does."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from coordinator.operations import Submit
from tests import record
from tests.fleet import Fleet
from tests.waiting import wait_until

SHORT: dict[str, object] = {"lease_ttl": "20s", "beat": "200ms", "kill_grace": "2s"}


@pytest.mark.parametrize("server_kind", ["redis"], indirect=True)
async def test_an_ending_that_can_not_be_recorded_holds_up_no_other(server_url: str, tmp_path: Path) -> None:
    names = ["a/damaged", "a/good", "a/waits"]
    async with Fleet(server_url, tmp_path, {"codex": 2}, None, **SHORT) as fleet, Redis.from_url(server_url) as redis:
        await fleet.begin(3)
        for name, seconds in zip(names, ("0.5", "1", "0"), strict=True):
            await fleet.store.run(Submit(workspace=name, agent="codex", task=seconds))
        await wait_until(lambda: len(record.written(fleet.marks)) == 2, "two run")
        key = "{dispatch}:workspace:a/damaged"
        await redis.rename(key, "kept")
        await redis.set(key, "?")
        await wait_until(lambda: f"ask waits: the key {key} is a string" in fleet.said("h1"), "one ending waits")
        for name in names[1:]:
            await fleet.becomes(name, "completed")
        assert "beat waits" not in fleet.said("h1")
        await redis.rename("kept", key)
        await fleet.becomes("a/damaged", "completed")
        assert record.broken(record.written(fleet.marks), {"codex": 2}, names) == []
