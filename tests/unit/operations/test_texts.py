"""What people read: how long something lasts, and as much of a task as fits a line."""

import json
from typing import Any

import pytest

from coordinator import operations as ops
from coordinator.operations.explain import Explained
from tests.model.world import ROOT, START, World

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (1, "1s"),
        (59 * SECOND, "59s"),
        (59 * SECOND + 1, "1m00s"),
        (61 * SECOND, "1m01s"),
        (HOUR - SECOND, "59m59s"),
        (HOUR - SECOND + 1, "1h00m"),
        (HOUR + MINUTE, "1h01m"),
        (25 * HOUR + 59 * MINUTE, "25h59m"),
    ],
)
def test_a_wait_is_told_in_its_two_greatest_parts_and_rounded_up(world: World, ms: int, text: str) -> None:
    world.ask(ops.Submit(workspace="w", agent="codex"))
    world.ask(ops.BackOff(key="codex", until=START + ms))
    told = world.ask(ops.Explain(workspace="w"))
    assert isinstance(told, Explained)
    assert told.refusal
    assert told.refusal.text == f"codex backs off for {text}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1s"), (59, "59s"), (60, "1m0s"), (3599, "59m59s"), (3600, "1h0m0s"), (3660, "1h1m0s"), (90_061, "25h1m1s")],
)
def test_a_usage_limit_is_told_as_go_writes_durations(world: World, seconds: int, text: str) -> None:
    world.ask(ops.Submit(workspace="w", agent="codex", asker="svc"))
    world.ask(ops.Complete(workspace="w", status="failed", retry_after=seconds))
    rows: Any = world.redis.xrange(f"{ROOT}:events")
    facts = [json.loads(fields["json"]) for _, fields in rows]
    assert [fact["duration"] for fact in facts if fact["type"] == "RateLimitDetected"] == [text]
    assert [fact["data"]["duration"] for fact in facts if fact.get("channel") == "ratelimit.status"] == [text]


@pytest.mark.parametrize(
    ("task", "shown"),
    [
        ("a" * 200, "a" * 200),
        ("a" * 201, "a" * 200 + " ..."),
        ("a" * 199 + "é", "a" * 199 + " ..."),  # 201 bytes: half a letter is none
        ("a" * 197 + "€b", "a" * 197 + "€ ..."),
        ("a" * 198 + "€b", "a" * 198 + " ..."),
    ],
)
def test_a_list_shows_200_bytes_of_a_task_and_no_part_of_a_letter(world: World, task: str, shown: str) -> None:
    world.ask(ops.Submit(workspace="w", agent="codex", task=task))
    assert [one.task for one in world.ask(ops.Query()).workspaces] == [shown]
    assert [one.task for one in world.ask(ops.Query(workspace="w")).workspaces] == [task]


def test_the_settings_in_force_are_told_also_before_anybody_set_one(world: World) -> None:
    assert world.ask(ops.GetStatus()).settings.model_dump() == {
        "lease_ttl": 300_000,
        "beat": 10_000,
        "kill_grace": 15_000,
        "max_attempts": 3,
        "spawn_timeout": 60_000,
        "history": 30 * 24 * HOUR,
        "ageing": HOUR,
    }


def test_numbers_of_a_record_are_numbers_in_any_language(world: World) -> None:
    world.ask(ops.Submit(workspace="w", agent="codex", asker="svc", priority=3))
    world.ask(ops.Complete(workspace="w", status="failed", exit_code=-9, cost_usd=5))
    told: Any = world.redis.fcall("dispatch_query", 1, ROOT, '{"name":"w"}')
    (record,) = json.loads(told)["workspaces"]
    fields = ("priority", "token", "attempt", "runs", "exit_code", "cost_usd", "started_at", "ended_at", "queued_at")
    assert {field: type(record[field]) for field in fields} == dict.fromkeys(fields, int)


def test_a_problem_says_how_to_mend_it_where_that_is_known(world: World) -> None:
    for question, fix in (('{"key":"codex","limit":-1}', "write limit: 1"), ('{"key":5,"limit":1}', "")):
        told: Any = world.redis.fcall("dispatch_limit", 1, ROOT, question)
        assert [problem["fix"] for problem in json.loads(told)["problems"]] == [fix]


def test_a_wish_for_an_end_wakes_the_holder_for_a_beat_not_for_work(world: World) -> None:
    world.ask(ops.Submit(workspace="w", agent="codex"))
    world.ask(ops.Claim(host="h1", incarnation="i", seq=1))
    ears = world.redis.pubsub()  # type: ignore[no-untyped-call]
    ears.subscribe(f"{ROOT}:poke:h1")
    ears.get_message(timeout=5.0)
    world.ask(ops.Kill(workspace="w"))
    assert ears.get_message(timeout=5.0)["data"] == "beat"
    ears.close()
