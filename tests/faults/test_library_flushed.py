"""Somebody flushes the functions of the server, again and again, while a fleet runs."""

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from coordinator.operations import Submit
from tests import record
from tests.fleet import Fleet
from tests.gates import Gate
from tests.waiting import wait_until

SHORT: dict[str, object] = {"lease_ttl": "30s", "beat": "500ms", "kill_grace": "2s"}


@pytest.mark.parametrize("server_kind", ["redis"], indirect=True)
async def test_the_library_is_loaded_again_and_no_ending_is_lost(server_url: str, tmp_path: Path) -> None:
    names, gate = [f"a/{at}" for at in range(24)], Gate(tmp_path / "gate")
    async with Fleet(server_url, tmp_path, {"codex": 12}, None, **SHORT) as fleet, Redis.from_url(server_url) as redis:
        fleet.serve("r1")
        for host in ("h1", "h2"):
            fleet.work(host, 12)
        await fleet.ready(2)
        asked = [Submit(workspace=name, agent="codex", task=str(gate.path)) for name in names]
        await asyncio.gather(*(fleet.store.run(each) for each in asked))
        await wait_until(lambda: len(record.written(fleet.marks)) == 12, "twelve run")
        gate.open()
        until = asyncio.get_running_loop().time() + 1.5
        while asyncio.get_running_loop().time() < until:  # faster than anybody can load it and then use it
            await redis.function_flush("SYNC")
        for name in names:
            await fleet.becomes(name, "completed", deadline=20)
        assert record.broken(record.written(fleet.marks), {"codex": 12}, names) == []
        assert {name: (await fleet.record(name)).runs for name in names} == dict.fromkeys(names, 1)
        for name in fleet.processes:
            assert "surprise" not in fleet.said(name)
