"""What is shown of records, which reports are older than a run, texts for people, the largest numbers."""

import json
from typing import Any

import pytest

from coordinator import operations as ops
from tests.model.world import ROOT, START, World
from tests.unit.operations.stopping import ask, damage, names
from tests.unit.operations.test_waiting_hosts import queue

LAST = 99_999_999_999_999  # the largest number of a question, and the last moment that is told
NUMBERS = ("pid", "token", "priority", "place", "attempt", "runs", "ttl", "started_at", "ended_at", "queued_at")
OTHERS = ("updated_at", "exit_code", "cost_usd", "not_before", "deadline")
OWN = ("lane", "asked", "granted", "confirmed", "machine", "tracked", "charged", "front", "past")


def test_a_record_is_shown_with_numbers_as_numbers_and_without_what_is_only_for_the_library(world: World) -> None:
    numbers = {field: at for at, field in enumerate((*NUMBERS, *OTHERS), start=1)}
    texts = {"status": "failed", "agent": "codex", "host": "h1", "mode": "pull", "question": "why?"}
    own = dict.fromkeys(OWN, "own")
    lists = {"labels": '["gpu"]', "kill": '{"by":"ana","at":5}', "pinned": "1"}
    for field, value in (numbers | texts | own | lists).items():
        world.redis.hset(f"{ROOT}:workspace:a", field, value)
    world.redis.zadd(f"{ROOT}:status:failed", {"a": START})
    shown = {"workspace": "a", "labels": ["gpu"], "kill": {"by": "ana", "at": 5}, "pinned": True, "since": START}
    assert ask(world, ops.Query(workspace="a"))["workspaces"] == [numbers | texts | shown]


def test_a_retry_of_all_that_failed_takes_no_other_whose_name_is_the_time_of_one(world: World) -> None:
    other = str(START)
    world.ask(ops.Submit(workspace=other, agent="codex"))
    (grant,) = world.ask(ops.Claim(host="h1", incarnation="i", seq=1)).grants
    world.ask(ops.Complete(workspace=other, token=grant.token, status="completed"))
    queue(world, "a")
    world.ask(ops.Cancel(workspace="a"))
    assert world.keys()["status:failed"] == {"a": START}
    assert world.ask(ops.Retry(status="failed")).count == 1
    assert world.keys()[f"workspace:{other}"]["status"] == "completed"


def test_a_walk_stops_at_a_damaged_index_and_says_what_it_should_be(world: World) -> None:
    damage(world, "status:blocked")
    assert names(ask(world, ops.Retry(status="blocked"))) == ("damaged", "status:blocked", "zset")


def test_a_walk_says_whether_there_is_more(world: World) -> None:
    """Of many more than a call walks over."""
    for start in range(0, 1024, 256):
        some = [{"workspace": f"w{number}", "agent": "codex"} for number in range(start, start + 256)]
        world.ask(ops.Track.model_validate({"workspaces": some}))
    counts, cursor = [], None
    while True:
        answer = ask(world, ops.Cancel(status="queued", cursor=cursor))
        cursor = answer.pop("cursor", None)
        counts.append(answer.pop("count"))
        assert answer == {"outcome": "done", "lib": answer["lib"]} | ({"more": True} if cursor else {})
        if not cursor:
            break
    assert (sum(counts), len(counts) > 1) == (1024, True)
    assert "more" not in ask(world, ops.Cancel(workspace="none"))


GRANTED = [
    ("1720000000000-5", "1720000000000-4", True),
    ("1720000000000-5", "1720000000000-5", False),
    ("1720000000000-5", "1720000000000-6", False),
    ("1720000000000-5", "1719999999999-6", True),
    ("1720000000000-5", "1720000000001-4", False),
    ("1720000000000-5", "999-9", True),  # by their numbers, not as texts
    ("999-9", "1720000000000-5", False),
    ("1720000000000-9", "1720000000000-10", False),
    ("1720000000000-1", "1720000000000", True),  # without a number it is the first of its moment
    ("1720000000000-0", "1720000000000", False),
    ("1720000000000", "1720000000000-0", False),
    ("by hand", "0", False),
]


@pytest.mark.parametrize(("granted", "as_of", "is_older"), GRANTED)
def test_a_report_that_is_older_than_the_run_ends_nothing(
    world: World, granted: str, as_of: str, is_older: bool
) -> None:
    world.ask(ops.Submit(workspace="a", agent="codex", asker="svc"))
    world.redis.hset(f"{ROOT}:workspace:a", "granted", granted)
    answer = world.ask(ops.Complete(workspace="a", status="completed", as_of=as_of))
    assert answer.outcome == ("stale" if is_older else "completed")


@pytest.mark.parametrize(("lane", "running"), [("codex codex", 1), (None, 0)])
def test_an_ending_is_told_with_its_agent_and_how_many_run_in_its_pool(
    world: World, lane: str | None, running: int
) -> None:
    """None do where the lane of a record was removed by hand."""
    (token, _) = [
        answer.grant.token
        for name in ("a", "b")
        if isinstance(answer := world.ask(ops.Submit(workspace=name, agent="codex", asker="svc")), ops.submit.Granted)
    ]
    if not lane:
        world.redis.hdel(f"{ROOT}:workspace:a", "lane")
    with world.redis.pubsub() as listener:  # type: ignore[no-untyped-call]
        listener.subscribe(f"{ROOT}:bus")
        listener.get_message(timeout=5)
        world.ask(ops.Complete(workspace="a", token=token, status="completed"))
        texts: list[Any] = [listener.get_message(timeout=5)["data"] for _ in range(2)]
    (note,) = [json.loads(text) for text in texts if "AgentNotification" in text]
    assert (note["agent"], note["status"], note["running"], note["limit"]) == ("codex", "completed", running, 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (59, "59s"),
        (60, "1m00s"),
        (61, "1m01s"),
        (3599, "59m59s"),
        (3600, "1h00m"),
        (7199, "1h59m"),
        (7200, "2h00m"),
        (359_999, "99h59m"),
    ],
)
def test_how_long_is_said_in_hours_minutes_and_seconds(world: World, seconds: int, text: str) -> None:
    world.ask(ops.BackOff(key="codex", duration=seconds * 1000))
    queue(world, "a")
    answer = world.ask(ops.Explain(workspace="a"))
    assert isinstance(answer, ops.explain.Explained)
    assert answer.refusal
    assert answer.refusal.text == f"codex backs off for {text}"


def test_the_last_moment_is_one_until_which_a_key_may_be_shut(world: World) -> None:
    queue(world, "a")
    world.ask(ops.BackOff(key="codex", until=LAST))
    answer = world.ask(ops.Explain(workspace="a"))
    assert isinstance(answer, ops.explain.Explained)
    assert answer.refusal
    assert answer.refusal.until == LAST
    assert world.ask(ops.Claim(host="h1", incarnation="i", seq=1)).grants == ()


@pytest.mark.parametrize("code", [-LAST, LAST, -1, 0])
def test_an_exit_code_is_shown_whatever_number_it_is(world: World, code: int) -> None:
    answer = world.ask(ops.Submit(workspace="a", agent="codex", asker="svc"))
    assert isinstance(answer, ops.submit.Granted)
    world.ask(ops.Complete(workspace="a", token=answer.grant.token, status="failed", exit_code=code))
    (found,) = world.ask(ops.Query(workspace="a")).workspaces
    assert found.exit_code == code


def test_thousands_that_wait_for_their_time_keep_no_claim_from_its_answer(world: World) -> None:
    world.redis.zadd(f"{ROOT}:later", {f"w{number}": LAST for number in range(9000)})
    queue(world, "a")
    answer = world.ask(ops.Claim(host="h1", incarnation="i", seq=1))
    assert ([grant.workspace for grant in answer.grants], answer.retry_in) == (["a"], LAST - START)


@pytest.mark.parametrize("task", ["look at 0x1F", '"0x"', "\\0X", 'a \\" 0x1 b'])
def test_a_task_may_speak_of_numbers_that_a_question_may_not_hold(world: World, task: str) -> None:
    queue(world, "a", task=task)
    assert world.keys()["workspace:a"]["task"] == task


def test_a_full_key_is_that_of_a_model_where_what_stands_before_its_colon_has_started_something(world: World) -> None:
    world.ask(ops.Apply(limits={"codex:big": 0, "claude:big": 0, "team:a": 0}))
    world.ask(ops.Submit(workspace="w", agent="codex"))
    assert world.ask(ops.Claim(host="h1", incarnation="i", seq=1)).grants
    assert {view.key: view.text for view in world.ask(ops.GetStatus()).keys if view.text} == {
        "codex:big": "queue at capacity: model big 0/0",
        "claude:big": "queue at capacity: claude:big 0/0",
        "team:a": "queue at capacity: team:a 0/0",
    }
