"""query in pages: each record once and in order, whatever moves meanwhile; a deep one costs what a shallow one does."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from coordinator import library
from tests.unit.operations.rich import ROOT, ask

ORDER = ("running", "queued", "blocked", "failed", "ready-for-review", "completed", "merged")
LATER = 9_000_000_000_000


class Row(NamedTuple):
    """A record as the index has it."""

    name: str
    status: str
    since: int


@pytest.fixture
def redis(server_url: str) -> Iterator["Redis"]:
    with Redis.from_url(server_url, decode_responses=True) as client:
        client.function_load(library.TEXT)
        yield client


def put(redis: "Redis", rows: list[Row], **more: str) -> None:
    pipe = redis.pipeline(transaction=False)
    for row in rows:
        fields: Any = {"status": row.status, "agent": "codex", **more}
        pipe.hset(f"{ROOT}:workspace:{row.name}", mapping=fields)
        pipe.zadd(f"{ROOT}:status:{row.status}", {row.name: row.since})
    pipe.execute()


def in_order(rows: list[Row], asked: dict[str, Any]) -> list[str]:
    """The names in the order a question with these fields tells them."""
    newest = sorted(rows, key=lambda row: (row.since, row.name.encode()), reverse=True)
    if not asked.get("recent"):
        newest.sort(key=lambda row: ORDER.index(row.status))
    return [row.name for row in newest if asked.get("status") in (None, row.status)]


def pages(redis: "Redis", asked: dict[str, Any], between: Callable[[], None] = lambda: None) -> Iterator[list[str]]:
    cursor: dict[str, str] = {}
    while True:
        answer = ask(redis, "query", {**asked, **cursor})
        yield list(answer.get("names") or [one["workspace"] for one in answer["workspaces"]])
        if "cursor" not in answer:
            return
        cursor = {"cursor": answer["cursor"]}
        between()


SORTS: list[dict[str, Any]] = [{}, {"recent": True}, {"status": "completed"}, {"status": "failed", "recent": True}]
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@=,-]{0,2}(/[a-z_][a-z]?)?", fullmatch=True)
ROWS = st.lists(
    st.builds(Row, NAMES, st.sampled_from(ORDER) | st.just("completed"), st.integers(1, 4)),
    max_size=25,
    unique_by=lambda row: row.name,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, count=st.integers(1, 6), asked=st.sampled_from(SORTS), data=st.data())
def test_pages_tell_each_record_that_stays_once_and_in_order(
    redis: "Redis", rows: list[Row], count: int, asked: dict[str, Any], data: st.DataObject
) -> None:
    redis.flushall()
    put(redis, rows)
    staying, moving = list(rows), list[Row]()

    def move() -> None:
        """Some get another status, and the newest time."""
        for row in data.draw(st.lists(st.sampled_from(staying), max_size=3, unique=True)) if staying else ():
            staying.remove(row)
            moving.append(row)
            redis.zrem(f"{ROOT}:status:{row.status}", row.name)
            put(redis, [row._replace(status=data.draw(st.sampled_from(ORDER)), since=LATER + len(moving))])

    told = list(pages(redis, {**asked, "count": count}, move))
    assert all(len(page) <= count for page in told)
    moved = {row.name for row in moving}
    flat = [name for page in told for name in page]
    assert [name for name in flat if name not in moved] == in_order(staying, asked)
    if asked:  # one walk, newest first: what moves goes to its beginning
        assert len(flat) == len(set(flat))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, asked=st.sampled_from(SORTS), after=st.integers(0, 5), before=st.integers(0, 5))
def test_pages_of_a_time_hold_what_changed_then(
    redis: "Redis", rows: list[Row], asked: dict[str, Any], after: int, before: int
) -> None:
    redis.flushall()
    put(redis, rows)
    told = [name for page in pages(redis, {**asked, "count": 2, "after": after, "before": before}) for name in page]
    assert told == in_order([row for row in rows if after <= row.since < before], asked)


def calls(redis: "Redis", question: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The answer, and how many commands it cost the server."""
    redis.config_resetstat()
    answer = ask(redis, "query", question)
    stats: Any = redis.info("commandstats")
    return answer, sum(one["calls"] for one in stats.values())


def many(count: int) -> list[Row]:
    """Three of one time each, as many of every status."""
    return [Row(f"w{number}", ORDER[number % len(ORDER)], 1 + number // 21) for number in range(count)]


@pytest.mark.parametrize("asked", [*SORTS, {"recent": True, "names": True}], ids=str)
def test_a_page_of_ten_thousand_costs_the_same_at_every_depth(redis: "Redis", asked: dict[str, Any]) -> None:
    rows = many(10_000)
    put(redis, rows)
    cursor: dict[str, str] = {}
    costs, told = list[int](), list[str]()
    while True:
        answer, cost = calls(redis, {**asked, "count": 100, **cursor})
        costs.append(cost)
        told += answer.get("names") or [one["workspace"] for one in answer["workspaces"]]
        if "cursor" not in answer:
            break
        cursor = {"cursor": answer["cursor"]}
    assert told == in_order(rows, asked)
    assert max(costs) <= (100 if "names" not in asked else 0) + 80


def test_what_lies_outside_the_time_asked_for_is_not_read(redis: "Redis") -> None:
    put(redis, many(10_000))
    answer, cost = calls(redis, {"recent": True, "after": 200, "before": 201, "agent": "codex"})
    assert len(answer["workspaces"]) == 21
    assert cost < 100


def test_a_page_looks_at_a_thousand_records_at_most(redis: "Redis") -> None:
    put(redis, many(2500))
    put(redis, [Row("wanted", "merged", 1)], repo="io")
    told = []
    for page in pages(redis, {"repo": "io", "recent": True}):
        told.append(page)
        assert len(told) <= 3
    assert told == [[], [], ["wanted"]]
    answer, cost = calls(redis, {"repo": "io", "recent": True})
    assert answer["workspaces"] == {}
    assert cost < 1000 + 80


def test_a_record_that_was_removed_by_hand_is_not_told(redis: "Redis") -> None:
    put(redis, [Row("a", "failed", 1), Row("b", "failed", 2), Row("c", "failed", 3)])
    redis.delete(f"{ROOT}:workspace:c")
    redis.hdel(f"{ROOT}:workspace:b", "status")
    assert list(pages(redis, {"count": 1, "status": "failed"})) == [["a"]]
    assert ask(redis, "query", {"name": "b"})["workspaces"] == {}


@pytest.mark.parametrize("cursor", ["", "0", "2", "50-1", "1:x:a", "1:nan:a", "1:5", "1:5 :a", "x" * 400])
def test_a_cursor_of_another_question_is_refused(redis: "Redis", cursor: str) -> None:
    answer = ask(redis, "query", {"status": "failed", "cursor": cursor})
    assert answer["outcome"] == "invalid"
    assert [one["field"] for one in answer["problems"]] == ["cursor"]
