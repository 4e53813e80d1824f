"""faults and mend: what disagrees with the records is found, and put right where they prove it; all else is let be."""

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from coordinator.doors.keys import in_order
from tests.unit.operations import kept, rich

Fault = tuple[str, str, str | None]
ROOT = rich.ROOT
#: Families whose members follow from the records alone, so that a deleted key of them comes back as it was.
BACK = ("slots:", "held:", "leases", "status:", "lane:", "lanes:", "ready:", "blocked", "groups:", "later", "hosts")


@pytest.fixture
def redis(server_url: str) -> Iterator["Redis"]:
    """A busy fleet: every kind of key exists."""
    with Redis.from_url(server_url, decode_responses=True) as client:
        rich.build(client)
        yield client


def walk(redis: "Redis", verb: str) -> list[dict[str, Any]]:
    """All that a look, or a mend, of the whole namespace tells, in the order of the keys."""
    found: list[dict[str, Any]] = []
    names = in_order(ROOT, (name.removeprefix(f"{ROOT}:") for name in redis.scan_iter(match="*")))
    for at in range(0, len(names), 100):
        asked: dict[str, object] = {"keys": names[at : at + 100]}
        while True:
            answer = rich.ask(redis, verb, asked)
            assert answer["outcome"] in ("faults", "mended"), answer
            found += answer["found"]
            if "cursor" not in answer:
                break
            asked["cursor"] = answer["cursor"]
    return found


def look(redis: "Redis") -> set[Fault]:
    return {(one["class"], one["key"], one.get("workspace")) for one in walk(redis, "faults")}


def mend(redis: "Redis") -> int:
    """Mends until nothing more is mended, and answers how many were: what was mended may show something else."""
    total = 0
    for _ in range(4):
        count = sum(one.get("mended", False) for one in walk(redis, "mend"))
        if not count:
            return total
        total += count
    raise AssertionError("there is always more to mend")


def members(redis: "Redis") -> dict[str, Any]:
    """What each key that follows from the records names, but for times and places."""
    found: dict[str, Any] = {}
    for name in redis.scan_iter(match="*"):
        short = name.removeprefix(f"{ROOT}:")
        if short.startswith(BACK):
            kind = redis.type(name)
            found[short] = (
                redis.smembers(name)
                if kind == "set"
                else redis.hgetall(name)
                if kind == "hash"
                else set(redis.zrange(name, 0, -1))
            )
    return found


def test_a_busy_fleet_has_no_fault_and_a_mend_of_it_changes_nothing(redis: "Redis") -> None:
    before = kept.digest(redis)
    assert look(redis) == set()
    assert walk(redis, "mend") == []
    assert kept.digest(redis) == before


def test_every_key_that_follows_from_the_records_is_made_again_after_it_was_deleted(redis: "Redis") -> None:
    whole = members(redis)
    assert len(whole) > 40
    for key in whole:
        redis.delete(f"{ROOT}:{key}")
        assert look(redis), f"nobody misses {key}"
        assert mend(redis), key
        assert members(redis) == whole, key
        assert look(redis) == set(), key


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("SADD slots:codex ghost", {("leaked", "slots:codex", "ghost")}),
        ("SADD slots:* hurt", {("leaked", "slots:*", "hurt")}),
        ("SADD slots:claude run", {("doubled", "slots:claude", "run")}),
        ("SADD held:h2 run", {("doubled", "held:h2", "run")}),
        ("SADD held:h2 hurt", {("leaked", "held:h2", "hurt")}),
        ("ZADD leases 9000000000000 hurt", {("leaked", "leases", "hurt")}),
        ("ZADD later 9000000000000 run", {("leaked", "later", "run")}),
        ("ZADD status:failed 1 run", {("doubled", "status:failed", "run")}),
        ("ZADD status:queued 1 ghost", {("leaked", "status:queued", "ghost")}),
        ("ZREM status:running run", {("orphaned", "status:running", "run")}),
        ("SREM slots:codex:big run",
         {("orphaned", "slots:codex:big", "run"), ("orphaned", "groups:codex:big", None)}),
        ("SREM held:h1 run", {("orphaned", "held:h1", "run")}),
        ("ZADD lane:gemini~gemini~team 1 run", {("leaked", "lane:gemini gemini team", "run")}),
        ("ZADD lane:gemini~gemini~team 1 by-model", {("doubled", "lane:gemini gemini team", "by-model")}),
        ("ZADD lane:codex~codex 1 ghost",
         {("leaked", "lane:codex codex", "ghost"), ("orphaned", "lane:codex codex", None)}),
        ("ZADD ready:gemini 1 @codex", {("leaked", "ready:gemini", None)}),
        ("ZADD ready:codex 1 codex~codex:big", {("leaked", "ready:codex", None)}),
        ("ZADD blocked:cursor:gemini 1 gemini~gemini~team",
         {("doubled", "blocked:cursor:gemini", None), ("orphaned", "blocked:cursor:gemini", None)}),
        ("SADD groups:codex gemini", {("leaked", "groups:codex", None)}),
        ("ZADD blocked 0 codex", {("leaked", "blocked", None)}),
        ("HSET lanes:gemini gemini~gone codex", {("leaked", "lanes:gemini", None)}),
        ("HSET lanes:gemini codex~codex codex", {("leaked", "lanes:gemini", None)}),
        ("ZADD hosts 1 h8", {("leaked", "hosts", None)}),
        ("ZADD poked 9000000000000 h8", {("leaked", "poked", None)}),
        ("ZADD waiting:codex 1 h8", {("leaked", "waiting:codex", None)}),
        ("SADD served:codex h8", {("leaked", "served:codex", None)}),
    ],
    ids=lambda one: one.replace(" ", "_") if isinstance(one, str) else "",
)  # fmt: skip
def test_what_was_added_or_taken_out_by_hand_is_found_and_put_back(
    redis: "Redis", command: str, wrong: set[Fault]
) -> None:
    whole, words = members(redis), command.split(" ")
    name, *rest = (word.replace("~", " ") for word in words[1:])
    redis.execute_command(words[0], f"{ROOT}:{name}", *rest)  # type: ignore[no-untyped-call]
    assert look(redis) == wrong
    assert mend(redis) >= 1
    assert look(redis) == set()
    assert members(redis) == whole
