"""Three thousand questions that are nearly right: each has an answer, and moves nothing that it may not."""

import itertools
import json
import random
import re
import shlex
from collections.abc import Iterator
from typing import Any, Final

import pytest
from pydantic import ValidationError
from redis import Redis

from coordinator import operations
from coordinator.operations._operation import Operation
from coordinator.problems import problems_of
from tests import document, mutated
from tests.unit.operations import kept, rich

MANY: Final = 1500
_AT_ONCE: Final = 50  # questions that meet one world, before it is built anew
TYPES: dict[str, type[Operation[Any]]] = {
    one.name: one for one in vars(operations).values() if isinstance(one, type) and issubclass(one, Operation)
}
WIRE: Final = {verb: {field.alias or name for name, field in kind.model_fields.items()} for verb, kind in TYPES.items()}
READS: Final = {verb for verb, kind in TYPES.items() if kind.reads}
ENDED: Final = {"completed", "merged", "ready-for-review", "failed", "blocked"}
SHOWN: Final = [shlex.split(command) for command, _ in document.calls() if command.startswith("FCALL")]
#: Python's reader is the stricter one where no field is concerned: it also refuses names that no field has, and texts
#: that only the server's reader takes for JSON.
LENIENT: Final = re.compile(rb"\{\}|\[\]|[\x00-\x1f\x7f-\xff]|nan|inf|\\ud|-?0\d|[-+.]\D|\d[eE.]|\\", re.IGNORECASE)
#: What their fields mean together, and with what the fleet knows, the library alone can say.
RULES: Final = {"submit", "kill", "cancel", "retry", "back_off", "limit", "apply", "freeze", "query", "what_if"}
Row = dict[str, str]


@pytest.fixture
def redis(server_url: str) -> Iterator["Redis"]:
    with Redis.from_url(server_url, decode_responses=True) as client:
        yield client


def rows(redis: "Redis") -> dict[str, Row]:
    """What the registry says of every workspace."""
    keys = sorted(str(key) for key in redis.scan_iter(f"{rich.ROOT}:workspace:*", count=1000))
    pipe = redis.pipeline(transaction=False)
    for key in keys:
        pipe.hgetall(key)
    return {key.partition(":workspace:")[2]: row for key, row in zip(keys, pipe.execute(), strict=True)}


def may(verb: str, ask: dict[str, Any], name: str, was: Row, now: Row) -> bool:
    """Whether this right question may have made of `was` what is `now` there: by its verb, its names and its tokens."""
    before, after = was.get("status"), now.get("status")
    if after is None:
        return verb == "reap" and before in ENDED
    newer = int(now.get("token", 0)) > int(was.get("token") or was.get("past") or 0)
    if verb in READS:
        return False
    if after == "running" and before != "running":
        return newer or verb in ("track", "restore")
    if before is None:
        return verb in ("submit", "track", "restore") and name in json.dumps(ask)
    if before == "queued":
        return verb in ("kill", "cancel", "retry", "restore", "track", "submit", "host")
    if before in ENDED:
        return verb in ("submit", "retry", "track", "restore")
    if verb == "complete":  # of a run
        mine = ask.get("token") == int(was["token"]) or (ask.get("token") is None and was["mode"] != "pull")
        return ask["workspace"] == name and mine
    told = [one for one in ask.get("endings", ()) if one["workspace"] == name and one["token"] == int(was["token"])]
    return (
        bool(verb == "renew" and told)
        or (verb == "restore" and any(one["workspace"] == name for one in ask["runs"]))
        or (verb == "track" and "tracked" in was and any(one["workspace"] == name for one in ask["workspaces"]))
        or (verb == "host" and ask.get("dead") is True and was["host"] == ask["host"])
        or verb == "reap"
    )


def wrong_by_type(verb: str, raw: bytes) -> set[str] | None:
    """The fields that Python finds wrong, without those that no verb has; None where it can not read the text."""
    try:
        TYPES[verb].model_validate_json(raw)
    except ValidationError as error:
        found = set()
        for problem, details in zip(problems_of(error), error.errors(), strict=True):
            if not problem.field or details["input"] in ({}, []):  # an empty list and an empty object are one in Lua
                return None
            known = details["type"] != "extra_forbidden" and str(details["loc"][0]) in WIRE[verb]
            found |= {plain(problem.field)} if known else set()
        return found
    return set()


def plain(field: str) -> str:
    """A path as far as both show it alike: names that are no names are shown as each can."""
    return ".".join(itertools.takewhile(re.compile(r"[!-&(->@-~]+").fullmatch, field.split(".")))


def world(redis: "Redis") -> list[tuple[str, dict[str, Any]]]:
    """One of every kind of key, and questions that touch all of them."""
    redis.flushall()
    return [
        *rich.questions(rich.build(redis)),
        *((words[1].removeprefix("dispatch_"), asked(words[4])) for words in SHOWN),
    ]


def asked(text: str) -> dict[str, Any]:
    return json.loads(text) if text.startswith("{") else {}


@pytest.mark.parametrize("server_kind", ["valkey", "redis"], indirect=True)
def test_every_question_is_answered_and_moves_nothing_that_it_may_not(redis: "Redis", server_kind: str) -> None:
    dice = random.Random(server_kind)
    valid = refused = moved = objects = 0
    for number in range(MANY):
        if number % _AT_ONCE == 0:
            questions = world(redis)
            plausible = [value for _, one in questions for value in one.values()]
            plausible += [value + 1 for value in plausible if type(value) is int and value > 1_000_000] * 3
            before, digest = rows(redis), kept.digest(redis)
        verb, example = dice.choice(questions)
        raw = mutated.damaged(dice, example, plausible)
        objects += mutated.is_object(raw)
        answer = json.loads(str(redis.fcall(f"dispatch_{verb}", 1, rich.ROOT, raw)))
        is_wrong = wrong_by_type(verb, raw)
        if answer["outcome"] in ("invalid", "outdated"):
            refused += 1
            named = {plain(problem["field"]) for problem in answer.get("problems", ())} - {"lib"}
            assert answer["outcome"] == "outdated" or answer["problems"], raw
            agreed = is_wrong is None or is_wrong == named or (not is_wrong and verb in RULES)
            assert agreed or b'"lib"' in raw, (verb, raw, is_wrong, named)
            assert kept.digest(redis) == digest, (verb, raw)
            continue
        valid += 1
        assert not is_wrong, (verb, raw, is_wrong)
        assert is_wrong is not None or LENIENT.search(raw), (verb, raw)
        TYPES[verb].reply.validate_python(answer)
        after, ask = rows(redis), read(raw, example)
        for name in {*before, *after}:
            if state(before.get(name)) != state(after.get(name)):
                moved += 1
                assert may(verb, ask, name, before.get(name, {}), after.get(name, {})), (verb, raw, name)
        before, digest = after, kept.digest(redis)
    assert min(valid, refused, moved) > MANY / 30
    assert 0.4 < objects / MANY < 0.7


def read(raw: bytes, example: dict[str, Any]) -> Any:
    """The question as the server's reader took it: to the first NUL. What only that takes for JSON is its example."""
    try:
        return json.loads(raw.partition(b"\0")[0].decode("utf-8", "replace"), strict=False)
    except ValueError:
        return example


def state(row: Row | None) -> tuple[str | None, ...] | None:
    return tuple(row.get(field) for field in ("status", "token", "host")) if row else None
