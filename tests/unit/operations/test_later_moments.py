"""The moments of what waits for a time: how they are told, on which side the moment itself is, what is passed over."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from coordinator.operations import Cancel, Explain, Query, Reap, Retry, Submit
from tests.model.world import ROOT, START, World
from tests.unit.operations.asking import Fleet

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
LAST = 99_999_999_999_999  # the last moment that a number can tell

YEARS = (1970, 1971, 1972, 1999, 2000, 2001, 2024, 2099, 2100, 2101, 2103, 2200, 2399, 2400, 2401, 4800, 5138)
DAYS = ((1, 1), (1, 31), (2, 27), (2, 28), (2, 29), (3, 1), (3, 2), (3, 31), (6, 30), (7, 1), (8, 31), (10, 1), (11, 1))
MOMENTS = [
    *((year, month, day, 0, 0, 0) for year in YEARS for month, day in DAYS if (month, day) != (2, 29) or not year % 4),
    *((year, 12, day, 23, 59, 59) for year in YEARS[:-1] for day in (1, 30, 31)),
    *((2026, 11, 24, hour, minute, 0) for hour in (0, 1, 12, 13, 22, 23) for minute in (0, 1, 59)),
]


def _waits(world: World, name: str, **more: Any) -> Any:
    return world.ask(Submit(workspace=name, agent="codex", **more))


def _status(world: World, name: str = "w") -> str:
    (record,) = world.ask(Query(workspace=name)).workspaces
    return record.status


def test_a_moment_is_told_by_its_date_and_time(world: World) -> None:
    world.set_clock(1)
    wrong = []
    for number, parts in enumerate(MOMENTS):
        if parts[:3] == (2100, 2, 29) or parts[:3] == (2200, 2, 29) or parts == (1970, 1, 1, 0, 0, 0):
            continue
        moment = round(datetime(*parts, tzinfo=UTC).timestamp() * 1000)
        told = _waits(world, f"w{number}", not_before=min(moment + 999, LAST)).refusal.text
        year, month, day, hour, minute, second = parts
        wanted = f"not before {year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z, in "
        if not told.startswith(wanted):
            wrong.append((wanted, told))
    assert wrong == []


def test_it_is_told_how_long_it_waits_and_that_its_time_is_no_earlier(world: World) -> None:
    no = _waits(world, "w", not_before=START + 2 * HOUR + 3 * MINUTE).refusal
    assert no.text == "not before 2025-06-15T17:09:40Z, in 2h03m"
    world.set_clock(START + 2 * HOUR)
    seen = world.ask(Explain(workspace="w")).refusal
    assert seen is not None
    assert seen.text == "not before 2025-06-15T17:09:40Z, in 3m00s"


def test_at_its_very_moment_it_may_start(world: World) -> None:
    queued = _waits(world, "now", not_before=START)
    assert (queued.place, queued.refusal) == (1, None)
    assert _waits(world, "asked", not_before=START, asker="svc", otherwise="refuse").outcome == "granted"
    assert _waits(world, "soon", not_before=START + 1).refusal.reason == "not_before"
    world.set_clock(START + 1)
    assert world.ask(Explain(workspace="soon")).refusal is None  # nobody has put it into its lane yet


def test_one_that_stands_in_its_lane_does_not_wait_for_its_deadline_to_start(world: World) -> None:
    _waits(world, "w", deadline=START + HOUR)
    seen = world.ask(Explain(workspace="w"))
    assert (seen.refusal, seen.place, seen.deadline) == (None, 1, START + HOUR)  # type: ignore[union-attr]


@pytest.mark.parametrize(("deadline", "outcome"), [(START, "invalid"), (START + 1, "queued")])
def test_a_deadline_lies_ahead(world: World, deadline: int, outcome: str) -> None:
    question = {"workspace": "w", "agent": "codex", "deadline": deadline}
    answer = json.loads(str(world.redis.fcall("dispatch_submit", 1, ROOT, json.dumps(question))))
    assert answer["outcome"] == outcome


def test_a_deadline_that_is_over_just_now_is_dropped_by_a_retry_and_bars_no_later_start(world: World) -> None:
    _waits(world, "w", deadline=START + SECOND)
    world.ask(Cancel(workspace="w"))
    world.set_clock(START + SECOND)
    assert world.ask(Retry(workspace="w", not_before=START + HOUR)).count == 1
    (record,) = world.ask(Query(workspace="w")).workspaces
    assert (record.status, record.not_before, record.deadline) == ("queued", START + HOUR, None)


@pytest.mark.parametrize(
    ("times", "damaged", "then"),
    [({"not_before": START + 1}, "lane:codex codex", "queued"), ({"deadline": START + 1}, "status:failed", "failed")],
)
def test_one_whose_keys_are_damaged_is_looked_at_again_a_minute_later(
    world: World, times: dict[str, int], damaged: str, then: str
) -> None:
    _waits(world, "w", **times)
    again = START + 1 + MINUTE
    world.redis.delete(f"{ROOT}:{damaged}")
    world.redis.set(f"{ROOT}:{damaged}", "by hand")
    for when in (START + 1, again - 1):
        world.set_clock(when)
        world.facts()
        assert world.ask(Reap()).next_due == again - when
        assert (world.facts(), world.keys()["later"]) == ([], {"w": again})
    world.redis.delete(f"{ROOT}:{damaged}")
    world.set_clock(again)
    world.ask(Reap())
    assert (_status(world), world.keys().get("later")) == (then, None)


def test_one_whose_lane_is_damaged_holds_up_no_other(world: World) -> None:
    _waits(world, "w", not_before=START + 1)
    world.ask(Submit(workspace="other", agent="gemini", not_before=START + 2))
    world.redis.set(f"{ROOT}:lane:codex codex", "by hand")
    world.set_clock(START + 2)
    world.ask(Reap())
    assert world.keys()["lane:gemini gemini"].keys() == {"other"}


async def test_when_the_last_that_waits_was_deleted_by_hand_the_queue_is_drained(fleet: Fleet) -> None:
    await fleet.queue("w", not_before=LAST)
    await fleet.end(await fleet.ask_for("b"))
    assert "QueueDrained" not in await fleet.facts()
    await fleet.redis.delete("{t}:workspace:w")
    await fleet.redis.zadd("{t}:later", {"w": 1})
    await fleet.store.run(Reap())
    assert (await fleet.facts()).count("QueueDrained") == 1


def test_a_sweep_that_has_left_some_of_what_is_due_says_so(world: World) -> None:
    for name in ("a", "b"):
        _waits(world, name, not_before=START + 1)
    world.set_clock(START + 1)
    assert [world.ask(Reap(limit=1)).more for _ in range(3)] == [True, True, False]
