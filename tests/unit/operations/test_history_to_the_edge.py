"""History to its edges: how long what a disk tells of is kept, what was edited by hand, what a worker ended."""

from typing import Any

import pytest

from coordinator.errors import StoreUnusable
from coordinator.operations import Apply, GetStatus, Reap, Retry
from coordinator.operations.apply import FleetSettings
from coordinator.operations.status import Summed
from coordinator.operations.track import OnDisk, Track
from tests.model.world import START, World
from tests.unit.operations.asking import Fleet

HOUR, DAY = 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("history", "stays"), [(0, 0), (1, 0), (HOUR, HOUR // 2), (2 * DAY, DAY), (2 * DAY - 2, DAY - 1), (9 * DAY, DAY)]
)
def test_an_old_ending_of_a_disk_is_kept_for_half_the_history_and_at_most_a_day(
    world: World, history: int, stays: int
) -> None:
    world.ask(Apply(settings=FleetSettings(history=history)))
    world.ask(Track(workspaces=[OnDisk(workspace="a", status="completed", agent="codex", updated_at=1000)], host="h1"))
    assert world.keys()["status:completed"] == {"a": START - history + stays}


async def _reaped(fleet: Fleet) -> int:
    await fleet.store.run(Apply(settings=FleetSettings(history=0)))
    return (await fleet.store.run(Reap())).forgotten


async def test_what_a_disk_told_of_and_a_worker_ended_since_is_forgotten_and_counted(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.track(["a"], status="failed", updated_at=1_600_000_000_000)
    await fleet.store.run(Retry(workspace="a"))
    (grant,) = (await fleet.claim()).grants
    await fleet.end(grant)
    assert await _reaped(fleet) == 1
    summary = (await fleet.store.run(GetStatus())).summary
    assert summary["codex"].counts == {"completed": 1}


async def test_sums_below_nothing_are_told_as_nothing(fleet: Fleet) -> None:
    sums: dict[Any, str] = {"codex ms": "-5", "codex cost_usd": "0", "codex failed": "-1", "codex completed": "1.5"}
    await fleet.redis.hset("{t}:summary", mapping=sums)
    summary = (await fleet.store.run(GetStatus())).summary
    assert summary == {"codex": Summed(counts={"failed": 0, "completed": 1}, ms=0, cost_usd=0)}


@pytest.mark.parametrize("stands", [10**14 - 3, 10**14 - 2, 10**14 - 1])
async def test_a_sum_stops_at_the_greatest_number_that_is_kept(fleet: Fleet, stands: int) -> None:
    await fleet.redis.hset("{t}:summary", "codex completed", str(stands))
    await fleet.host()
    await fleet.queue("a")
    (grant,) = (await fleet.claim()).grants
    await fleet.end(grant)
    assert await _reaped(fleet) == 1
    assert int(await fleet.redis.hget("{t}:summary", "codex completed") or 0) == min(stands + 1, 10**14 - 1)


async def test_a_damaged_record_is_named_also_where_the_summary_is_damaged(fleet: Fleet) -> None:
    await fleet.ask_for("a")
    await fleet.lapse("a")
    for key in ("workspace:a", "summary"):
        await fleet.redis.delete(f"{{t}}:{key}")
        await fleet.redis.set(f"{{t}}:{key}", "by hand")
    with pytest.raises(StoreUnusable, match="workspace:a"):
        await fleet.store.run(Reap())
