"""What waits for a time: it starts no earlier than `not_before`, and is given up at its `deadline`."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from coordinator.errors import InvalidQuestion
from coordinator.operations import Cancel, Host, Kill, Limit, Reap, Retry, Submit, Thaw, Track
from coordinator.operations.explain import Explain, Explained
from coordinator.operations.submit import Granted, Queued, Refused
from tests.unit.operations.asking import Fleet

HOUR = 3_600_000


async def now(fleet: Fleet) -> int:
    seconds, micros = await fleet.redis.time()
    return int(seconds * 1000 + micros // 1000)


async def comes(fleet: Fleet, name: str, field: str = "not_before") -> None:
    """Its moment is now: as if the time until then had passed."""
    await fleet.redis.hset(fleet.store.key("workspace", name), field, "1")
    await fleet.redis.zadd(fleet.store.key("later"), {name: 1}, xx=True)
    await fleet.redis.hset(fleet.store.key("control"), "due", "1")


async def later(fleet: Fleet) -> set[str]:
    return {str(name) for name in await fleet.redis.zrange(fleet.store.key("later"), 0, -1)}


async def lane(fleet: Fleet) -> list[str]:
    return [str(name) for name in await fleet.redis.zrange(fleet.store.key("lane", "codex codex"), 0, -1)]


def at(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


async def test_it_stands_in_no_lane_and_says_until_when(fleet: Fleet) -> None:
    await fleet.host()
    when = await now(fleet) + HOUR
    queued = await fleet.submit("w", not_before=when)
    assert isinstance(queued, Queued)
    assert queued.refusal
    assert (queued.place, queued.refusal.key, queued.refusal.reason, queued.refusal.until) == (
        0,
        "w",
        "not_before",
        when,
    )
    assert queued.refusal.text.startswith(f"not before {at(when)}, in ")
    explained = await fleet.store.run(Explain(workspace="w"))
    assert isinstance(explained, Explained)
    assert (explained.status, explained.place, explained.refusal and explained.refusal.until) == ("queued", None, when)
    assert (await lane(fleet), await fleet.granted()) == ([], [])
    assert (await fleet.record("w")).not_before == when


async def test_its_time_and_its_hosts_next_look_are_told(fleet: Fleet) -> None:
    await fleet.host()
    async with fleet.hearing() as bus:
        when = await now(fleet) + 5000
        await fleet.submit("w", not_before=when)
        await fleet.submit("another", not_before=when)  # no earlier: replicas sleep until then as it is
        told = [json.loads(text) for text in await bus.texts()]
    assert [one["due"] for one in told if one["type"] == "PokeQueue"] == [when]
    assert 0 < ((await fleet.claim()).retry_in or 0) <= 5000
    assert 0 < ((await fleet.store.run(Reap())).next_due or 0) <= 5000


async def test_when_its_time_comes_it_stands_at_its_old_place(fleet: Fleet) -> None:
    when = await now(fleet) + HOUR
    await fleet.queue("first")
    await fleet.queue("w", not_before=when)
    await fleet.queue("last")
    await comes(fleet, "w")
    await fleet.host()
    assert await fleet.granted(count=2) == ["first", "w"]
    assert await later(fleet) == set()


async def test_a_host_that_waits_is_woken_when_its_time_comes(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.queue("w", not_before=await now(fleet) + HOUR)
    assert await fleet.granted() == []
    await comes(fleet, "w")
    async with fleet.listening("h1") as pokes:
        await fleet.store.run(Reap())
        assert await pokes.next() == "h1"


async def test_an_asker_is_refused_until_then(fleet: Fleet) -> None:
    when = await now(fleet) + HOUR
    refused = await fleet.submit("w", asker="svc", otherwise="refuse", not_before=when)
    assert isinstance(refused, Refused)
    assert (refused.refusal.key, refused.refusal.reason) == ("w", "not_before")
    assert isinstance(await fleet.submit("w", asker="svc", not_before=1), Granted)


async def test_a_call_moves_eight_of_those_that_are_due(fleet: Fleet) -> None:
    names = [f"w{number}" for number in range(10)]
    await fleet.queue(*names, not_before=await now(fleet) + HOUR)
    for name in names:
        await comes(fleet, name)
    await fleet.submit("other", "claude")
    assert len(await lane(fleet)) == 8
    assert not (await fleet.store.run(Reap())).more
    assert await lane(fleet) == names


async def test_a_damaged_record_holds_up_no_other(fleet: Fleet) -> None:
    await fleet.queue("a", "b", not_before=await now(fleet) + HOUR)
    for name in ("a", "b"):
        await comes(fleet, name)
    await fleet.redis.delete(fleet.store.key("workspace", "a"))
    await fleet.redis.set(fleet.store.key("workspace", "a"), "by hand")
    await fleet.store.run(Reap())
    assert await lane(fleet) == ["b"]
    assert 0 < ((await fleet.store.run(Reap())).next_due or 0) <= 60_000


async def test_a_record_that_was_deleted_waits_for_no_time(fleet: Fleet) -> None:
    await fleet.queue("a", not_before=await now(fleet) + HOUR)
    await fleet.redis.zadd(fleet.store.key("later"), {"a": 1})
    await fleet.redis.delete(fleet.store.key("workspace", "a"))
    await fleet.store.run(Reap())
    assert await later(fleet) == set()
    assert await fleet.redis.exists(fleet.store.key("status", "queued")) == 0


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({"deadline": 1}, "must be in the future, got 1970-01-01T00:00:00Z"),
        ({"deadline": 0}, "must be in the future, got 1970-01-01T00:00:00Z"),
        (
            {"not_before": 4_102_444_800_000, "deadline": 4_102_444_800_000},
            "must be after not_before: 2100-01-01T00:00:00Z",
        ),
        (
            {"not_before": 99_999_999_999_999, "deadline": 4_107_542_399_999},
            "2100-02-28T23:59:59Z is not after 5138-11-16T09:46:39Z",
        ),
    ],
)
async def test_times_that_can_not_be_are_refused(fleet: Fleet, times: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidQuestion) as found:
        await fleet.submit("w", **times)
    (problem,) = found.value.problems
    assert problem.field == "deadline"
    assert said in problem.problem
    assert await fleet.redis.exists(fleet.store.key("workspace", "w")) == 0


async def test_asking_twice_is_asking_once_also_after_the_deadline(fleet: Fleet) -> None:
    await fleet.queue("w", deadline=await now(fleet) + HOUR)
    assert (await fleet.submit("w", deadline=1)).outcome == "already"


async def test_what_has_not_started_at_its_deadline_is_given_up(fleet: Fleet) -> None:
    when = await now(fleet) + HOUR
    await fleet.store.run(Limit(key="codex", limit=0))
    await fleet.queue("w", deadline=when)
    await fleet.queue("other")
    await fleet.redis.zadd(fleet.store.key("later"), {"w": 1})
    await fleet.store.run(Reap())
    assert (await fleet.record("w")).status == "queued"  # its record says when, to the millisecond
    await comes(fleet, "w", "deadline")
    await fleet.store.run(Reap())
    record = await fleet.record("w")
    assert (record.status, record.verdict) == ("failed", "deadline")
    assert record.question == "not started by 1970-01-01T00:00:00Z"
    entry = (await fleet.store.last_events(1))[0]
    assert json.loads(entry.json)["verdict"] == "deadline"
    assert (await lane(fleet), await later(fleet)) == (["other"], set())


async def test_what_started_in_time_is_left_alone(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.queue("w", deadline=await now(fleet) + HOUR)
    (grant,) = (await fleet.claim()).grants
    assert await later(fleet) == set()
    await comes(fleet, "w", "deadline")
    await fleet.store.run(Reap())
    assert (await fleet.record("w")).status == "running"
    assert (await fleet.end(grant)).outcome == "completed"


@pytest.mark.parametrize("how", ["lost", "limited", "forgotten"])
async def test_a_run_that_would_be_queued_again_after_its_deadline_has_failed(fleet: Fleet, how: str) -> None:
    await fleet.host()
    await fleet.queue("w", deadline=await now(fleet) + HOUR)
    (grant,) = (await fleet.claim()).grants
    await comes(fleet, "w", "deadline")
    answer: Any
    if how == "lost":
        await fleet.lapse("w")
        (lost,) = (await fleet.store.run(Reap())).lost
        assert lost.status == "failed"
    elif how == "limited":
        answer = await fleet.end(grant, "failed", retry_after=60)
        assert answer.status == "failed"
    else:
        answer = await fleet.store.run(Host(host="h1", action="forget", dead=True))
        assert answer.requeued == ()
    record = await fleet.record("w")
    assert (record.status, record.verdict) == ("failed", "deadline")
    assert record.question == "not started again by 1970-01-01T00:00:00Z"
    assert await fleet.redis.exists(fleet.store.key("slots", "codex"), fleet.store.key("held", "h1")) == 0


async def test_one_that_is_too_late_is_not_granted_whatever_else_is_due(fleet: Fleet) -> None:
    names = [f"w{number}" for number in range(10)]
    await fleet.queue(*names, deadline=await now(fleet) + HOUR)
    for name in names:
        await comes(fleet, name, "deadline")
    await fleet.host(slots=20)
    assert await fleet.granted() == []
    assert {(await fleet.record(name)).status for name in names} == {"failed"}


@pytest.mark.parametrize("ends", [Cancel(workspace="w"), Kill(workspace="w"), Kill(agent="codex", cursor="q")])
async def test_what_is_called_off_waits_for_no_time(fleet: Fleet, ends: Any) -> None:
    when = await now(fleet) + HOUR
    await fleet.queue("w", not_before=when, deadline=when + 1)
    await fleet.store.run(ends)
    assert ((await fleet.record("w")).status, await later(fleet)) == ("failed", set())


async def test_a_retry_keeps_times_that_are_ahead(fleet: Fleet) -> None:
    when = await now(fleet) + HOUR
    await fleet.queue("w", not_before=when, deadline=when + 1)
    await fleet.store.run(Cancel(workspace="w"))
    await fleet.store.run(Retry(workspace="w"))
    record = await fleet.record("w")
    assert (record.status, record.not_before, record.deadline) == ("queued", when, when + 1)
    assert (await lane(fleet), await later(fleet)) == ([], {"w"})


async def test_a_retry_drops_times_that_are_over(fleet: Fleet) -> None:
    await fleet.queue("w", deadline=await now(fleet) + HOUR)
    await comes(fleet, "w", "deadline")
    await fleet.store.run(Reap())
    await fleet.store.run(Retry(status="failed"))
    record = await fleet.record("w")
    assert (record.status, record.deadline, await lane(fleet)) == ("queued", None, ["w"])


async def test_a_retry_is_told_other_times_or_none(fleet: Fleet) -> None:
    when = await now(fleet) + HOUR
    await fleet.queue("w", not_before=when, deadline=when + 1)
    await fleet.store.run(Cancel(workspace="w"))
    with pytest.raises(InvalidQuestion, match="must be after not_before"):
        await fleet.store.run(Retry(workspace="w", not_before=when + 1))
    with pytest.raises(InvalidQuestion, match="must be in the future"):
        await fleet.store.run(Retry(workspace="w", deadline=1))
    with pytest.raises(InvalidQuestion, match="is for one workspace"):
        await fleet.store.run(Retry(status="failed", not_before=when))
    assert (await fleet.store.run(Retry(workspace="w", not_before=0, deadline=0))).count == 1
    assert (await lane(fleet), await later(fleet)) == (["w"], set())
    assert (await fleet.store.run(Retry(workspace="w", deadline=1))).count == 0


async def test_a_disk_that_sees_it_alive_ends_its_wait(fleet: Fleet) -> None:
    when = await now(fleet) + HOUR
    await fleet.queue("w", not_before=when, deadline=when + 1)
    found = {"workspaces": [{"workspace": "w", "status": "running", "pid": 5}], "host": "h1"}
    await fleet.store.run(Track.model_validate(found))
    assert ((await fleet.record("w")).status, await later(fleet)) == ("running", set())


async def test_a_thaw_hands_out_nothing_that_is_too_late(fleet: Fleet) -> None:
    """A push host asks for nothing: what the thaw lets start is handed to it in the same call."""
    await fleet.host("p1", mode="push")
    await fleet.store.run(Limit(key="*", limit=0))
    await fleet.queue("w", deadline=await now(fleet) + HOUR)
    await comes(fleet, "w", "deadline")
    await fleet.store.run(Limit(key="*", clear=True))
    await fleet.store.run(Thaw())
    assert (await fleet.record("w")).verdict == "deadline"


async def test_one_that_is_asked_for_again_has_other_times(fleet: Fleet) -> None:
    when = await now(fleet) + HOUR
    await fleet.queue("w", not_before=when)
    await fleet.store.run(Cancel(workspace="w"))
    await fleet.store.run(Submit(workspace="w", agent="codex", again=True))
    assert (await lane(fleet), (await fleet.record("w")).not_before) == (["w"], None)
