"""PokeQueue and RateLimitDetected on the bus of a real replica, whose next tick is far away."""

import json
from pathlib import Path

import pytest

from coordinator.operations import GetStatus, Submit
from tests.fleet import Fleet
from tests.waiting import wait_until


@pytest.mark.reference(24, 33, "T92")
async def test_a_replica_looks_when_it_begins_and_when_it_is_poked(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 2}) as fleet:
        await fleet.begin(2)
        fleet.kill("r1")
        for name in ("first", "second"):
            await fleet.store.run(Submit(workspace=name, agent="codex", asker="svc"))
        await fleet.store.redis.zadd(fleet.store.key("leases"), {"first": 1})
        fleet.serve("r2")
        await fleet.becomes("first", "blocked", deadline=20)
        await fleet.heard()  # a poke with nothing to do
        await fleet.store.redis.zadd(fleet.store.key("leases"), {"second": 1})
        assert await fleet.store.publish('{"type":"PokeQueue"}') >= 1
        await fleet.becomes("second", "blocked", deadline=10)  # a tick is 30 s away


@pytest.mark.reference(35, 72, "T88")
async def test_a_rate_limit_that_is_told_shuts_its_pool_and_a_malformed_one_nothing(
    server_url: str, tmp_path: Path
) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 2}) as fleet:
        await fleet.begin(2)
        await fleet.heard()
        for pool, duration in (("claude", "soon"), ("claude", "-30m"), ("", "30m"), ("codex", "30m0s")):
            report = {"type": "RateLimitDetected", "pool": pool, "duration": duration}
            await fleet.store.publish(json.dumps(report))

        async def gates() -> dict[str, int]:
            status = await fleet.store.run(GetStatus())
            return {view.key: view.until - status.now for view in status.keys if view.until}

        shut = await wait_until(gates, "the gate is shut")
        assert list(shut) == ["codex"]
        assert 1_700_000 < shut["codex"] <= 1_800_000
        assert fleet.said("r1").count("malformed") >= 3
