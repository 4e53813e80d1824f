"""Keys changed or deleted by hand: a question is answered, or stops before it writes and names the key."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from tests.servers import REDIS, VALKEY
from tests.unit.operations import kept, rich

Asked = tuple[str, dict[str, object]]

SOFT = f"{rich.ROOT}:fair:".encode()  # what is written over: it goes by itself, and is made anew

#: Of the questions, every so manieth is asked of each key, of the next key those beside them: what is checked is the
#: library's own work, so each server meets every key, every question and some pairs; `tests.mutate` meets every pair.
ONE_IN = {VALKEY: 2, REDIS: 7}

PARTS = 3  # of the keys, each a test of its own

#: What a call may have done before it met a damaged lane: work that was due anyway, each piece of it whole.
DUE_ANYWAY = (
    *("backoff", "backoff_reason", "timers", "poked", "opening", "ready:claude+gpu", "control", "leases"),
    *("ready:cursor", "next_start", "ramp"),
    *("later", "lane:codex codex", "lanes:codex", "ready:codex", "workspace:in-time", "status:queued", "status:failed"),
    *("lane:codex:big codex codex:big", "lane:codex codex codex:big", "ages", "events"),
    *("routes", "serves:h1", "served:codex+gpu", "waiting:codex+gpu", "ready:codex+gpu"),
    *("host:h1", "waiting:codex", "waiting:claude+gpu"),  # a host was woken for what was opened
)


@pytest.fixture
def redis(server_url: str) -> Iterator["Redis"]:
    with Redis.from_url(server_url) as client:
        yield client


def _some(questions: list[Asked], place: int, kind: str) -> list[Asked]:
    """Those to ask of the key in this place, of this kind of server."""
    return [one for at, one in enumerate(questions) if (at + place) % ONE_IN[kind] == 0]


def _ask(redis: "Redis", verb: str, question: object, key: bytes) -> tuple[dict[str, Any], int, bytes]:
    """The answer, and then how much was changed so far, and the digest of one key: in one round trip."""
    pipe = redis.pipeline(transaction=False)
    pipe.fcall(f"dispatch_{verb}", 1, rich.ROOT, json.dumps(question))
    pipe.info("persistence")
    pipe.execute_command("DEBUG", "DIGEST-VALUE", key)  # type: ignore[no-untyped-call]
    answer, told, (of_key,) = pipe.execute()
    return json.loads(answer), told["rdb_changes_since_last_save"], of_key


def _faults(redis: "Redis") -> set[tuple[str, ...]]:
    """What the keys say that the records do not. That a host has not told of a run for a while is the clock's."""
    keys: list[Any] = redis.keys(f"{rich.ROOT}:*")
    names = [key.decode().removeprefix(f"{rich.ROOT}:") for key in keys]
    found = set()
    for at in range(0, len(names), 128):
        question: dict[str, Any] = {"keys": names[at : at + 128]}
        while True:
            part = rich.ask(redis, "faults", question)
            found |= {(one["class"], one["key"], one.get("workspace", ""), one["text"]) for one in part["found"]}
            if "cursor" not in part:
                break
            question["cursor"] = part["cursor"]
    return {one for one in found if "does not tell of it" not in one[-1]}


def _damage(redis: "Redis", key: bytes) -> None:
    """What was remembered, with one key of another type."""
    kept.bring_back(redis)
    kind = redis.type(key)
    redis.delete(key)
    if kind == b"string":
        redis.hset(key, "by", "hand")
    else:
        redis.set(key, "by hand")


@pytest.mark.timeout(240)  # on a busy machine: it asks thousands of questions
@pytest.mark.parametrize("part", range(PARTS))
def test_a_key_of_the_wrong_type_stops_a_question_before_it_writes(redis: "Redis", server_kind: str, part: int) -> None:
    questions = rich.questions(rich.build(redis))
    sound = kept.keep(redis)
    values, expected, left = kept.state(redis), {}, {}
    for verb, question in questions:
        expected[verb, json.dumps(question)] = rich.ask(redis, verb, question)["outcome"]
        left[verb, json.dumps(question)] = _faults(redis)
        kept.bring_back(redis)
    damaged = 0
    for place, key in list(enumerate(sound))[part::PARTS]:
        _damage(redis, key)
        before, key_before = kept.changes(redis), kept.digest(redis, key)
        for verb, question in _some(questions, place, server_kind):
            outcome = expected[verb, json.dumps(question)]
            answer, after, key_after = _ask(redis, verb, question, key)
            if answer["outcome"] == "damaged":
                damaged += 1
                fine = answer["key"] == key.decode() and before == after
            else:
                made_anew = key.startswith(SOFT)
                fine = answer["outcome"] == outcome and (made_anew or key_before == key_after)
            assert fine, (key, verb, question, answer)
            if after != before:
                redis.restore(key, 0, values[key], replace=True)
                new = _faults(redis) - left[verb, json.dumps(question)]
                assert not new, (key, verb, question, answer, new)  # it went on, and left nothing wrong beside the key
                _damage(redis, key)
                before = kept.changes(redis)
    assert damaged > 1000 // PARTS // ONE_IN[server_kind]


@pytest.mark.timeout(240)  # on a busy machine: it asks thousands of questions
def test_work_that_is_due_passes_over_a_damaged_key(redis: "Redis", server_kind: str) -> None:
    questions = [one for one in rich.questions(rich.build(redis)) if one[0] in ("claim", "complete", "reap", "submit")]
    rich.make_due(redis)
    due = kept.keep(redis)
    for place, key in enumerate(due):
        for verb, question in _some(questions, place, server_kind):
            _damage(redis, key)
            before = kept.state(redis)
            answer = rich.ask(redis, verb, question)
            if answer["outcome"] == "damaged":
                after = kept.state(redis)
                changed = kept.changed(before, after)
                assert answer["key"] == key.decode()
                may = set() if key.endswith(b":events") else DUE_ANYWAY  # what is due is told, so nothing of it is done
                assert changed <= {f"{rich.ROOT}:{name}" for name in may}, (key, verb, question)


def test_one_damaged_record_does_not_keep_the_others_from_being_reaped(redis: "Redis") -> None:
    rich.build(redis)
    redis.zadd(f"{rich.ROOT}:leases", {"run": 1, "late": 1})
    redis.delete(f"{rich.ROOT}:workspace:late")
    redis.set(f"{rich.ROOT}:workspace:late", "by hand")
    assert rich.ask(redis, "reap", {})["lost"] == [{"workspace": "run", "host": "h1", "status": "queued"}]
    again = rich.ask(redis, "reap", {})
    assert (again["outcome"], again["key"]) == ("damaged", "{t}:workspace:late")


def test_one_damaged_record_does_not_keep_the_other_leases_of_its_host_from_being_renewed(redis: "Redis") -> None:
    rich.build(redis)
    redis.zadd(f"{rich.ROOT}:leases", {"run": 1, "late": 1})
    held = [
        {"workspace": name, "token": int(redis.hget(f"{rich.ROOT}:workspace:{name}", "token") or 0)}
        for name in ("run", "late")
    ]
    redis.delete(f"{rich.ROOT}:workspace:late")
    redis.set(f"{rich.ROOT}:workspace:late", "by hand")
    answer = rich.ask(redis, "renew", {"host": "h1", "incarnation": "i1", "held": held})
    assert (answer["outcome"], answer["lost"], answer["unseen"]) == ("renewed", {}, {})
    assert redis.zscore(f"{rich.ROOT}:leases", "late") == 1
    assert (redis.zscore(f"{rich.ROOT}:leases", "run") or 0) > 1


def test_a_damaged_lane_does_not_undo_the_ending_that_met_it(redis: "Redis") -> None:
    rich.build(redis)
    redis.delete(f"{rich.ROOT}:workspace:ready")
    redis.set(f"{rich.ROOT}:workspace:ready", "by hand")
    claim = {"host": "h2", "incarnation": "i1", "seq": 2}
    answer = rich.ask(redis, "complete", {"workspace": "asked", "status": "completed", "claim": claim})
    assert (answer["outcome"], answer["grants"], answer["more"]) == ("completed", {}, True)
    assert rich.ask(redis, "claim", claim)["outcome"] == "damaged"


@pytest.mark.timeout(240)  # on a busy machine: it asks thousands of questions
@pytest.mark.parametrize("part", range(PARTS))
def test_no_deleted_key_makes_a_verb_fail(redis: "Redis", server_kind: str, part: int) -> None:
    questions = rich.questions(rich.build(redis))
    rich.make_due(redis)
    keys = sorted(kept.keep(redis), key=lambda name: name.endswith(b":control"))  # without it a new epoch begins
    for place, key in list(enumerate(keys))[part::PARTS]:
        kept.bring_back(redis, without=key)
        before = kept.changes(redis)
        for verb, question in _some(questions, place, server_kind):
            answer, after, _ = _ask(redis, verb, question, key)
            assert answer["outcome"] not in ("damaged", "invalid"), (key, verb)
            if after != before:
                kept.bring_back(redis, without=key)
                before = kept.changes(redis)


QUEUE = (
    "lane:",
    "lanes:",
    "ready:",
    "blocked",
    "groups:",
    "routes",
    "served:",
    "waiting:",
    "timers",
    "poked",
    "place",
    "later",
)


def test_cancel_and_retry_bring_back_what_waits_after_a_queue_key_was_deleted(redis: "Redis") -> None:
    rich.build(redis)
    keys = kept.keep(redis)
    waiting: list[Any] = sorted(redis.zrange(f"{rich.ROOT}:status:queued", 0, -1))
    for key in keys:
        if not key.decode().removeprefix(f"{rich.ROOT}:").startswith(QUEUE):
            continue
        kept.bring_back(redis, without=key)
        rich.ask(redis, "cancel", {"status": "queued"})
        for name in waiting:
            assert rich.ask(redis, "retry", {"workspace": name.decode(), "not_before": 0})["count"] == 1
        rich.ask(redis, "apply", {"limits": {}, "rates": {"cursor": {}}})
        rich.ask(redis, "back_off", {"key": "claude", "clear": True})
        rich.ask(redis, "thaw", {"key": "repo:o/cold"})
        granted = set()
        for host, pools in (("h1", ["codex", "claude", "cursor"]), ("h2", ["gemini", "aider"])):
            beat = {"host": host, "incarnation": "i2", "machine": "m", "pools": pools, "slots": 9}
            rich.ask(redis, "renew", beat)
            grants = rich.ask(redis, "claim", {"host": host, "incarnation": "i2", "seq": 1})["grants"]
            granted |= {grant["workspace"].encode() for grant in grants}
        assert granted == set(waiting), key
