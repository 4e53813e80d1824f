"""Damage beside what a call needs, between two of its steps, and deep in a long list of what it needs."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from coordinator import library
from tests.unit.operations import kept, rich
from tests.unit.operations.trying import Trial

ROOT = rich.ROOT


@pytest.fixture
def redis(server_url: str) -> Iterator["Redis"]:
    with Redis.from_url(server_url) as client:
        yield client


@pytest.fixture
def trial(redis: "Redis") -> Trial:
    return Trial(redis)


def _damage(redis: "Redis", name: str) -> None:
    key = f"{ROOT}:{name}"
    redis.delete(key)
    if name == "place":
        redis.hset(key, "by", "hand")
    else:
        redis.set(key, "by hand")


@pytest.mark.parametrize(
    ("name", "verb", "question", "outcome"),
    [
        ("place", "complete", {"workspace": "run", "status": "completed"}, "completed"),
        ("place", "claim", {"host": "h2", "incarnation": "i1", "seq": 2}, "claimed"),
        ("host:h2", "submit", {"workspace": "new", "agent": "codex"}, "queued"),  # h2 serves other pools
        ("groups:team", "limit", {"key": "team", "limit": 5}, "set"),  # nothing is blocked on it
        ("rates:repo:*", "limit", {"key": "repo:*", "limit": 5}, "set"),  # only pools have rates
        ("rates:*", "back_off", {"key": "*", "for": 5}, "set"),
    ],
)
def test_damage_of_what_a_call_has_no_need_of_does_not_stop_it(
    redis: "Redis", name: str, verb: str, question: dict[str, Any], outcome: str
) -> None:
    tokens = rich.build(redis)
    _damage(redis, name)
    if verb == "complete":
        question = {**question, "token": tokens["run"]}
    assert rich.ask(redis, verb, question)["outcome"] == outcome


def test_a_lane_that_another_key_keeps_by_now_stays_where_it_is_while_the_group_of_that_key_is_damaged(
    redis: "Redis",
) -> None:
    redis.function_load(library.TEXT, replace=True)
    rich.ask(redis, "thaw", {})
    rich.ask(redis, "renew", {"host": "h1", "incarnation": "i1", "pools": ["codex"], "slots": 4})
    rich.ask(redis, "submit", {"workspace": "first", "agent": "codex", "keys": ["turn"]})
    rich.ask(redis, "limit", {"key": "turn", "limit": 0})
    rich.ask(redis, "submit", {"workspace": "second", "agent": "codex", "keys": ["turn"], "priority": 8})
    claim = {"host": "h1", "incarnation": "i1", "seq": 1}
    kept.keep(redis)
    for name in ("groups:turn", "blocked:turn:codex"):
        kept.bring_back(redis)
        _damage(redis, name)
        before = kept.state(redis)
        answer = rich.ask(redis, "claim", claim)
        assert (answer["outcome"], answer["key"]) == ("damaged", f"{ROOT}:{name}")
        assert kept.changed(before, kept.state(redis)) == set()
    kept.bring_back(redis)
    assert rich.ask(redis, "claim", claim)["grants"] == {}
    assert redis.hget(f"{ROOT}:lanes:codex", "codex codex turn") == b"turn"


@pytest.mark.parametrize(
    ("verb", "question"),
    [
        ("claim", {"host": "h1", "incarnation": "i1", "seq": 3}),
        ("complete", {"workspace": "run", "status": "completed"}),
        ("reap", {}),
        ("submit", {"workspace": "new", "agent": "codex"}),
    ],
)
def test_nothing_that_is_due_is_done_while_nobody_can_be_told(
    redis: "Redis", verb: str, question: dict[str, Any]
) -> None:
    tokens = rich.build(redis)
    rich.make_due(redis)
    if verb == "complete":
        question = {**question, "token": tokens["run"]}
    _damage(redis, "events")
    before = kept.state(redis)
    answer = rich.ask(redis, verb, question)
    assert (answer["outcome"], answer["key"]) == ("damaged", f"{ROOT}:events")
    assert kept.changed(before, kept.state(redis)) == set()


def test_a_host_of_hundreds_of_routes_is_forgotten_whole_or_not_at_all(redis: "Redis") -> None:
    redis.function_load(library.TEXT, replace=True)
    rich.ask(redis, "thaw", {})
    labels = [f"l{number:02}" for number in range(24)]
    beat = {"host": "h1", "incarnation": "i1", "pools": ["codex"], "labels": labels, "slots": 4}
    rich.ask(redis, "renew", beat)
    pairs = [[one, other] for one in labels for other in labels if one < other]  # 276
    for number, pair in enumerate(pairs):
        rich.ask(redis, "submit", {"workspace": f"w{number}", "agent": "codex", "labels": pair})
    prefixes = (f"{ROOT}:served:", f"{ROOT}:waiting:")
    names = [name for name in sorted(kept.keep(redis)) if name.decode().startswith(prefixes)]
    assert len(names) >= len(pairs)
    for key in names:
        name = key.decode().removeprefix(f"{ROOT}:")
        told: Any = redis.dump(key)
        _damage(redis, name)
        before = kept.changes(redis)
        answer = rich.ask(redis, "host", {"host": "h1", "action": "forget"})
        assert (answer["outcome"], answer.get("key")) == ("damaged", f"{ROOT}:{name}")
        assert kept.changes(redis) == before
        redis.restore(key, 0, told, replace=True)
    assert rich.ask(redis, "host", {"host": "h1", "action": "forget"})["state"] == "forgotten"


@pytest.mark.parametrize(
    ("lua", "text"),
    [
        ("error('out of paper', 0)", "out of paper"),
        ("error({ err = 'NOPAPER there is none' }, 0)", "NOPAPER there is none"),
        ("sound.holds(error, 'out of paper', 0)", "out of paper"),
        ("sound.holds(error, { err = 'NOPAPER there is none' })", "NOPAPER there is none"),
    ],
)
def test_an_error_that_is_no_damage_is_told_as_it_was_raised(trial: Trial, lua: str, text: str) -> None:
    with pytest.raises(ResponseError) as raised:
        trial.answer(f"(function() {lua} end)()")
    assert str(raised.value).removeprefix("ERR ").startswith(text)


def test_damage_is_an_answer_to_who_looks_whether_something_holds(trial: Trial) -> None:
    lua = "local fine, what = sound.holds(base.damaged, 'a', 'hash')"
    assert trial.after(lua, "{ fine, what.damaged.key, what.damaged.expected }") == [False, "a", "hash"]
    assert trial.after("local fine, what = sound.holds(function(one) return one end, 5)", "{ fine, what }") == [True, 5]


@pytest.mark.parametrize(
    ("lib", "outcome"),
    [(library.LIB, "queued"), (1, "queued"), (library.LIB + 1, "outdated"), ("7", "invalid"), (1.5, "invalid")],
)
def test_a_question_may_name_the_least_library_that_knows_it(redis: "Redis", lib: object, outcome: str) -> None:
    redis.function_load(library.TEXT, replace=True)
    text = json.dumps({"workspace": "w", "agent": "codex", "lib": lib})
    assert rich.ask(redis, "submit", text)["outcome"] == outcome
    assert redis.exists(f"{ROOT}:workspace:w") == (outcome == "queued")
