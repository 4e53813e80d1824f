"""History: what has ended is kept for its time, then forgotten by reap, and counted."""

import pytest

from coordinator.operations import Apply, Cancel, Complete, GetStatus, Query, Reap, Retry
from coordinator.operations.apply import FleetSettings
from coordinator.operations.status import Summed
from tests.servers import REAL
from tests.unit.operations.asking import Fleet

DAY = 86_400_000
FORGOTTEN = ("completed", "merged", "ready-for-review", "failed")


async def keep(fleet: Fleet, history: int) -> None:
    await fleet.store.run(Apply(settings=FleetSettings(history=history)))


async def ended(
    fleet: Fleet, name: str, status: str = "completed", ago: int = 0, agent: str = "codex", **more: object
) -> None:
    """A workspace whose run ended so long ago."""
    await fleet.end(await fleet.ask_for(name, agent), status, **more)
    await age(fleet, name, status, ago)


async def age(fleet: Fleet, name: str, status: str, ago: int) -> None:
    now = (await fleet.store.run(GetStatus())).now
    await fleet.redis.zadd(f"{{t}}:status:{status}", {name: now - ago})


async def names(fleet: Fleet) -> set[str]:
    return set((await fleet.store.run(Query(names=True))).names)


async def reap(fleet: Fleet) -> int:
    return (await fleet.store.run(Reap())).forgotten


async def summary(fleet: Fleet) -> dict[str, Summed]:
    return (await fleet.store.run(GetStatus())).summary


@pytest.mark.parametrize("status", FORGOTTEN)
async def test_what_ended_longer_ago_than_history_is_forgotten(fleet: Fleet, status: str) -> None:
    await keep(fleet, DAY)
    await ended(fleet, "old", status, DAY + 1)
    await ended(fleet, "young", status, DAY - 60_000)
    assert await reap(fleet) == 1
    assert await names(fleet) == {"young"}
    assert await reap(fleet) == 0


async def test_nothing_of_what_was_forgotten_stays_but_its_count(fleet: Fleet) -> None:
    before = set(await fleet.redis.keys("*"))
    await keep(fleet, 0)
    await ended(fleet, "a")
    assert await reap(fleet) == 1
    counters = {f"{{t}}:{name}" for name in ("events", "fence", "place", "due", "routes", "summary", "control")}
    assert set(await fleet.redis.keys("*")) - before <= counters
    assert list(await summary(fleet)) == ["codex"]


async def test_history_is_thirty_days_unless_it_is_set(fleet: Fleet) -> None:
    await ended(fleet, "kept", ago=30 * DAY - 60_000)
    await ended(fleet, "gone", ago=30 * DAY + 1)
    assert await reap(fleet) == 1
    assert await names(fleet) == {"kept"}


async def test_without_history_the_next_reap_forgets(fleet: Fleet) -> None:
    await keep(fleet, 0)
    await ended(fleet, "a")
    assert await names(fleet) == {"a"}
    assert await reap(fleet) == 1
    assert await names(fleet) == set()


async def test_what_waits_runs_or_is_blocked_is_never_forgotten(fleet: Fleet) -> None:
    await keep(fleet, 0)
    await fleet.ask_for("runs")
    await fleet.queue("waits")
    await ended(fleet, "asks", "blocked")
    for name, status in (("runs", "running"), ("waits", "queued"), ("asks", "blocked")):
        await age(fleet, name, status, 1000 * DAY)
    assert await reap(fleet) == 0
    assert await names(fleet) == {"runs", "waits", "asks"}
    assert await summary(fleet) == {}


async def test_a_retried_one_is_not_forgotten_for_when_it_ended_before(fleet: Fleet) -> None:
    await keep(fleet, DAY)
    await ended(fleet, "a", "failed", 2 * DAY)
    await fleet.store.run(Retry(workspace="a"))
    assert await reap(fleet) == 0
    assert (await fleet.record("a")).status == "queued"


async def test_the_forgotten_are_counted_by_pool_with_their_time_and_cost(fleet: Fleet) -> None:
    await keep(fleet, 0)
    await ended(fleet, "a", "completed", agent="codex:big", cost_usd=1_500_000)
    await ended(fleet, "b", "merged", cost_usd=20)
    await ended(fleet, "c", "completed")
    await ended(fleet, "d", "failed", agent="claude", cost_usd=7)
    await fleet.queue("e")
    for name, started in (("a", 1000), ("b", 2000)):
        await fleet.redis.hset(f"{{t}}:workspace:{name}", mapping={"started_at": started, "ended_at": 3000})
    await fleet.redis.hset("{t}:workspace:c", mapping={"started_at": 3000, "ended_at": 2000})  # the clock went back
    await fleet.redis.hdel("{t}:workspace:d", "started_at")
    assert await reap(fleet) == 4
    assert await summary(fleet) == {
        "codex": Summed(counts={"completed": 2, "merged": 1}, ms=3000, cost_usd=1_500_020),
        "claude": Summed(counts={"failed": 1}, ms=0, cost_usd=7),
    }
    await ended(fleet, "a")
    assert await reap(fleet) == 1
    assert (await summary(fleet))["codex"].counts == {"completed": 3, "merged": 1}


async def test_waiting_is_not_counted_as_running(fleet: Fleet) -> None:
    await keep(fleet, 0)
    await ended(fleet, "a", "failed")
    await fleet.store.run(Retry(workspace="a"))
    await fleet.redis.hset("{t}:workspace:a", "started_at", 1000)
    await fleet.store.run(Cancel(workspace="a"))
    assert await reap(fleet) == 1
    assert await summary(fleet) == {"codex": Summed(counts={"failed": 1})}


async def test_a_call_forgets_sixteen_and_says_that_there_is_more(fleet: Fleet) -> None:
    await keep(fleet, 0)
    for number in range(20):
        await fleet.end(await fleet.ask_for(f"c{number}"))
        await fleet.queue(f"f{number}")
    await fleet.store.run(Cancel(status="queued"))
    answers = [await fleet.store.run(Reap()) for _ in range(4)]
    assert [(one.forgotten, one.more) for one in answers] == [(16, True), (16, True), (8, False), (0, False)]
    assert (await summary(fleet))["codex"].counts == {"completed": 20, "failed": 20}


async def test_what_a_disk_told_is_forgotten_uncounted_and_not_before_somebody_could_see_it(fleet: Fleet) -> None:
    await keep(fleet, 3_600_000)
    old = {"agent": "codex", "status": "completed", "updated_at": 1_600_000_000_000}
    await fleet.track(["old"], **old)
    assert await reap(fleet) == 0
    assert (await fleet.record("old")).ended_at == 1_600_000_000_000
    await keep(fleet, 0)
    assert await reap(fleet) == 1
    assert await summary(fleet) == {}


async def test_what_was_called_off_before_it_ran_is_kept_since_its_file_may_say_that_it_waits(fleet: Fleet) -> None:
    waits = {"agent": "codex", "status": "queued", "updated_at": 1_600_000_000_000}
    await fleet.track(["a"], **waits)
    await fleet.store.run(Cancel(workspace="a"))
    await keep(fleet, 0)
    assert await reap(fleet) == 0
    await fleet.track(["a"], **waits)
    assert (await fleet.record("a")).status == "failed"


async def test_what_is_kept_does_not_stand_before_what_may_go(fleet: Fleet) -> None:
    kept = [f"a{number}" for number in range(16)]
    await fleet.track(kept, status="queued", updated_at=1_600_000_000_000)
    await fleet.store.run(Cancel(status="queued"))
    await keep(fleet, 0)
    await ended(fleet, "b", "failed")
    for name in kept:
        await age(fleet, name, "failed", DAY)
    assert await reap(fleet) == 0
    assert await reap(fleet) == 1
    assert await names(fleet) == set(kept)


@pytest.mark.parametrize("retried", [False, True])
async def test_a_found_run_that_ended_by_report_is_kept_since_its_file_may_say_that_it_runs(
    fleet: Fleet, retried: bool
) -> None:
    runs = {"agent": "codex", "status": "running", "updated_at": 1_600_000_000_000}
    await fleet.track(["a"], **runs)
    await fleet.store.run(Complete(workspace="a", status="completed"))
    if retried:
        await fleet.store.run(Retry(workspace="a"))
        await fleet.store.run(Cancel(workspace="a"))
    await keep(fleet, 0)
    assert await reap(fleet) == 0
    await fleet.track(["a"], **{**runs, "status": "queued"})
    assert (await fleet.record("a")).status == ("failed" if retried else "completed")
    await fleet.track(["a"], agent="codex", status="merged")  # now its disk says so too
    assert await reap(fleet) == 1


async def test_a_forgotten_run_of_ours_is_not_queued_again_by_an_old_disk(fleet: Fleet) -> None:
    grant = await fleet.ask_for("a")
    await fleet.end(grant)
    await keep(fleet, 0)
    assert await reap(fleet) == 1
    await fleet.track(["a"], agent="codex", status="running", token=grant.token)
    record = await fleet.record("a")
    assert (record.status, (record.question or "")[:22]) == ("blocked", "its last word on disk ")
    assert (await fleet.store.run(Retry(workspace="a"))).count == 1


async def test_a_forgotten_name_is_new_again_and_an_old_holder_says_nothing_of_it(fleet: Fleet) -> None:
    await keep(fleet, 0)
    grant = await fleet.ask_for("a")
    await fleet.end(grant)
    assert await reap(fleet) == 1
    assert (await fleet.end(grant)).outcome == "unknown"
    again = await fleet.ask_for("a")
    assert again.token > grant.token
    assert (await fleet.end(grant)).outcome == "stale"
    assert (await fleet.end(again)).outcome == "completed"


async def test_damaged_records_are_passed_over_and_do_not_stop_the_others(fleet: Fleet) -> None:
    await keep(fleet, 0)
    broken = [f"a{number}" for number in range(16)]
    await fleet.track([*broken, "b"], status="completed")
    for name in broken:
        await age(fleet, name, "completed", DAY)
        await fleet.redis.delete(f"{{t}}:workspace:{name}")
        await fleet.redis.set(f"{{t}}:workspace:{name}", "by hand")
    answer = await fleet.store.run(Reap())
    assert (answer.forgotten, answer.more) == (0, False)  # to ask again at once would not help
    assert await reap(fleet) == 1
    assert await fleet.redis.get("{t}:workspace:a0") == "by hand"


@pytest.mark.parametrize("server_kind", REAL, indirect=True)
@pytest.mark.parametrize("key", ["summary", "status:completed"])
async def test_a_damaged_index_or_summary_forgets_nothing_of_it(fleet: Fleet, key: str) -> None:
    await keep(fleet, 0)
    await ended(fleet, "a")
    await ended(fleet, "b", "failed")
    since = (await fleet.record("b")).since
    await fleet.redis.delete(f"{{t}}:{key}")
    await fleet.redis.set(f"{{t}}:{key}", "by hand")
    assert await reap(fleet) == (0 if key == "summary" else 1)
    assert await fleet.redis.exists("{t}:workspace:a") == 1
    if key == "summary":
        assert (await fleet.record("b")).since == since


async def test_a_record_that_stands_under_a_wrong_status_is_not_forgotten(fleet: Fleet) -> None:
    await keep(fleet, 0)
    await fleet.ask_for("a")
    await fleet.redis.zadd("{t}:status:completed", {"a": 1, "nobody": 1})
    await reap(fleet)
    assert (await fleet.record("a")).status == "running"
    assert await fleet.redis.exists("{t}:status:completed") == 0
    assert await summary(fleet) == {}


async def test_what_was_edited_by_hand_counts_for_what_it_can(fleet: Fleet) -> None:
    await keep(fleet, 0)
    await ended(fleet, "a", cost_usd=5)
    await fleet.redis.hset("{t}:workspace:a", mapping={"agent": "\xff!", "cost_usd": "much", "started_at": "x"})
    await ended(fleet, "b", cost_usd=5)
    await fleet.redis.hset(
        "{t}:summary",
        mapping={"codex cost_usd": 99_999_999_999_998, "codex completed": "many", "x": 1, "x y": 1, "x ms": "-1"},
    )
    assert await reap(fleet) == 2
    told = await summary(fleet)
    assert told["codex"].counts == {"completed": 1}
    assert told["codex"].cost_usd == 99_999_999_999_999  # it stays at the highest number
    assert told["unknown"] == Summed(counts={"completed": 1})
