"""cancel takes out of the queue, retry puts back; one, or all of a status in parts."""

import pytest

from coordinator.errors import InvalidQuestion
from coordinator.operations import Cancel, Reap, Retry
from coordinator.operations._many import Done
from tests.unit.operations.asking import Fleet


async def test_one_is_cancelled_once(fleet: Fleet) -> None:
    await fleet.queue("a", "b")
    assert await fleet.store.run(Cancel(workspace="a", by="ana")) == Done(count=1)
    assert await fleet.store.run(Cancel(workspace="a")) == Done(count=0)
    record = await fleet.record("a")
    assert (record.status, record.verdict, record.question) == ("failed", "cancelled", "cancelled by ana")
    await fleet.host()
    assert await fleet.granted() == ["b"]


async def test_what_runs_is_not_cancelled_and_nobody_is_no_error(fleet: Fleet) -> None:
    await fleet.ask_for("a")
    assert await fleet.store.run(Cancel(workspace="a")) == Done(count=0)
    assert await fleet.store.run(Cancel(status="running")) == Done(count=0)
    assert await fleet.store.run(Cancel(workspace="nobody")) == Done(count=0)
    assert (await fleet.record("a")).status == "running"


async def test_cancel_without_a_choice_is_refused(fleet: Fleet) -> None:
    await fleet.queue("a")
    with pytest.raises(InvalidQuestion, match="workspace or status is required"):
        await fleet.store.run(Cancel())
    assert (await fleet.record("a")).status == "queued"


async def test_all_that_wait_are_cancelled_in_parts_and_come_back_in_parts(fleet: Fleet) -> None:
    await fleet.track([f"w{number}" for number in range(300)])
    cancelled, parts, cursor = 0, 0, None
    while True:
        done = await fleet.store.run(Cancel(status="queued", cursor=cursor))
        cancelled, parts, cursor = cancelled + done.count, parts + 1, done.cursor
        if not done.more:
            break
    assert (cancelled, parts > 1) == (300, True)
    assert await fleet.redis.exists("{t}:ready:codex", "{t}:lanes:codex", "{t}:status:queued") == 0
    while (await fleet.store.run(Retry())).count:
        pass
    assert await fleet.redis.zcard("{t}:status:queued") == 300


async def test_a_retry_forgives_attempts_and_forgets_how_it_ended(fleet: Fleet) -> None:
    await fleet.end(await fleet.ask_for("a"), "failed", question="q", verdict="v", exit_code=1)
    assert await fleet.store.run(Retry(workspace="a")) == Done(count=1)
    assert await fleet.store.run(Retry(workspace="a")) == Done(count=0)
    record = await fleet.record("a")
    assert (record.status, record.attempt, record.question, record.verdict) == ("queued", 0, None, None)
    assert (record.exit_code, record.ended_at, record.runs) == (None, None, 1)


async def test_a_retry_is_the_word_that_a_blocked_one_is_dead(fleet: Fleet) -> None:
    await fleet.ask_for("a")
    await fleet.lapse("a")
    await fleet.store.run(Reap())
    assert await fleet.store.run(Retry(status="failed")) == Done(count=0)
    assert await fleet.store.run(Retry(status="blocked")) == Done(count=1)
    await fleet.host()
    assert await fleet.granted() == ["a"]


async def test_what_waits_runs_or_is_unknown_is_not_retried(fleet: Fleet) -> None:
    await fleet.queue("a")
    await fleet.ask_for("b")
    for name in ("a", "b", "nobody"):
        assert await fleet.store.run(Retry(workspace=name)) == Done(count=0)


async def test_a_retry_wakes_a_host_that_waits(fleet: Fleet) -> None:
    await fleet.end(await fleet.ask_for("a"), "failed")
    await fleet.host()
    async with fleet.listening("h1") as pokes:
        assert await fleet.granted() == []
        await fleet.store.run(Retry(workspace="a"))
        assert await pokes.next() == "h1"
