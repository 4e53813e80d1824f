"""mend: each key comes back as it was, who waits is told in the same call, and damage beside keeps its hands off."""

import json
from typing import Any

import pytest

from coordinator import operations as ops
from coordinator.operations.mend import Mended
from tests.model.world import ROOT, START, World
from tests.servers import REDIS
from tests.unit.operations.broken import FAR, TTL, busy, by_hand, claim, token

pytestmark = pytest.mark.parametrize("server_kind", [REDIS], indirect=True)


def mend(world: World, *keys: str) -> Mended:
    answer = world.ask(ops.Mend(keys=list(keys)))
    assert isinstance(answer, Mended)
    return answer


@pytest.fixture
def fleet(world: World) -> World:
    return busy(world)


@pytest.fixture
def aged(world: World) -> World:
    """One of each status; the clock is elsewhere whenever something happens, and at the end."""
    world.ask(ops.Submit(workspace="ended", agent="codex"))
    world.set_clock(START + 10)
    assert claim(world, 1) == ["ended"]
    world.set_clock(START + 20)
    world.ask(ops.Complete(workspace="ended", token=token(world, "ended"), status="completed"))
    world.set_clock(START + 30)
    world.ask(ops.Submit(workspace="run", agent="codex"))
    world.set_clock(START + 40)
    assert claim(world, 2) == ["run"]
    world.set_clock(START + 50)
    world.ask(ops.Submit(workspace="waits", agent="claude"))
    world.set_clock(START + 60)
    return world


@pytest.mark.parametrize(
    ("key", "member", "since", "proof"),
    [
        ("status:queued", "waits", START + 50, "workspace:waits"),
        ("status:running", "run", START + 40, "workspace:run"),
        ("status:completed", "ended", START + 20, "workspace:ended"),
        ("hosts", "h1", START, "host:h1"),
    ],
)
def test_what_is_listed_again_is_listed_since_its_own_time(
    aged: World, key: str, member: str, since: int, proof: str
) -> None:
    assert aged.keys()[key] == {member: since}
    by_hand(aged, f"ZREM {key} {member}")
    assert mend(aged, proof).count == 1
    assert aged.keys()[key] == {member: since}


@pytest.mark.parametrize(
    ("commands", "keys"),
    [
        # a group of one that belongs elsewhere
        ("ZADD blocked:codex:gemini 1 gemini~gone;SADD groups:codex gemini;ZADD ready:gemini 1 @codex",
         "blocked:codex:gemini"),
        ("ZADD ready:codex 1 codex~gone", "ready:codex"),
        ("ZREM blocked codex", "groups:codex"),
        ("SREM groups:codex codex", "blocked:codex:codex"),
        # a lane that is moved from the group of its key to those that may start
        ("HDEL lanes:codex codex~codex;ZREM blocked:codex:codex codex~codex;ZADD ready:codex 1 codex~codex",
         "lane:codex codex"),
        ("ZREM lane:codex~codex waits", "workspace:waits"),
        ("SADD held:h2 run", "held:h2"),
        # a group that is not known is put right by its own mend: it must not be made known after that
        ("ZADD blocked:gemini:gemini 1 gemini~gone;SADD groups:gemini gemini", "blocked:gemini:gemini;groups:gemini"),
    ],
)  # fmt: skip
def test_what_was_changed_by_hand_is_as_it_was_after_one_mend(fleet: World, commands: str, keys: str) -> None:
    before = fleet.keys()
    by_hand(fleet, *commands.split(";"))
    assert fleet.keys() != before
    assert mend(fleet, *keys.split(";")).count == 1
    assert fleet.keys() == before


def test_a_lost_lease_is_given_anew_for_as_long_as_its_own_and_the_replicas_are_told_when_it_ends(world: World) -> None:
    answer = world.ask(ops.Submit(workspace="asked", agent="codex", asker="svc", ttl=90_000))
    assert answer.outcome == "granted"
    world.ask(ops.Submit(workspace="run", agent="codex"))
    assert claim(world, 1) == ["run"]
    by_hand(world, "DEL leases")
    world.ask(ops.Reap())
    world.set_clock(START + 1000)
    assert "due" not in world.keys()["control"]
    for name, ends in (("run", START + 1000 + TTL), ("asked", START + 1000 + 90_000)):
        assert mend(world, f"workspace:{name}").count == 1
        assert world.keys()["leases"][name] == ends
        assert world.keys()["control"]["due"] == str(ends)


def test_a_host_that_waits_is_told_at_once_when_a_slot_of_the_whole_fleet_is_given_back(world: World) -> None:
    world.ask(ops.Apply(limits={"*": 1}))
    by_hand(world, "SADD slots:* ghost")
    world.ask(ops.Submit(workspace="a", agent="codex"))
    world.listen("h1")
    assert (claim(world, 1), world.heard()) == ([], [])
    assert mend(world, "slots:*").count == 1
    assert world.heard() == ["h1"]
    assert claim(world, 2) == ["a"]


def test_a_host_is_told_when_nobody_holds_its_room_any_more(fleet: World) -> None:
    by_hand(fleet, "SADD held:h2 ghost")
    fleet.listen("h2")
    assert mend(fleet, "held:h2").count == 1
    assert fleet.heard() == ["h2"]


@pytest.mark.parametrize("lost", ["ZREM blocked codex", ""])
def test_what_a_key_keeps_waiting_that_admits_starts_as_soon_as_it_is_found(fleet: World, lost: str) -> None:
    fleet.ask(ops.Limit(key="gemini", limit=0))
    fleet.listen("h1")
    assert (claim(fleet, 2), fleet.heard()) == ([], [])
    by_hand(fleet, "HSET limits codex 2", *([lost] if lost else []))
    assert mend(fleet, "groups:codex").count == 1
    assert fleet.heard() == ["h1"]
    assert claim(fleet, 3) == ["waits"]


def test_a_queue_whose_last_run_was_only_thought_to_run_is_told_as_drained(world: World) -> None:
    for name in ("a", "b"):
        world.ask(ops.Submit(workspace=name, agent="codex"))
    assert claim(world, 1) == ["a", "b"]
    world.ask(ops.Complete(workspace="a", token=token(world, "a"), status="completed"))
    by_hand(world, "DEL workspace:b", "ZREM leases b")
    assert "QueueDrained" not in [fact["type"] for fact in world.facts()]
    assert mend(world, "status:running").count == 1
    told = [(fact["type"], fact.get("completed")) for fact in world.facts()]
    assert [one for one in told if one[0] in ("Mended", "QueueDrained")] == [("Mended", None), ("QueueDrained", 1)]


def test_what_is_named_twice_is_mended_once(fleet: World) -> None:
    by_hand(fleet, "ZREM leases run", "ZREM hosts h1")
    answer = mend(fleet, "workspace:run", "host:h1", "workspace:run", "host:h1")
    assert (answer.count, [one.mended for one in answer.found]) == (2, [True, True])
    assert [fact["type"] for fact in fleet.facts()].count("Mended") == 2


def test_a_member_of_a_key_that_is_named_twice_is_mended_once(fleet: World) -> None:
    by_hand(fleet, "SADD slots:codex ghost")
    answer = mend(fleet, "slots:codex", "slots:codex")
    assert (answer.count, [one.mended for one in answer.found]) == (1, [True])
    assert [fact["type"] for fact in fleet.facts()].count("Mended") == 1


@pytest.mark.parametrize(
    ("commands", "key", "damaged"),
    [
        # leave: nothing waits in the lane but one that does not exist
        ("ZADD lane:claude~claude 1 ghost;HSET lanes:claude claude~claude ~", "lane:claude claude", "ready:claude"),
        ("HSET lanes:gemini gemini~gone codex", "lanes:gemini", "ready:gemini"),
        # stand
        ("HDEL lanes:gemini gemini~gemini", "lane:gemini gemini", "ready:gemini"),
        # mark
        ("ZADD ready:gemini 1 @codex", "ready:gemini", "groups:codex"),
        ("SADD groups:codex gemini", "groups:codex", "ready:gemini"),
        # displace
        ("ZADD blocked:codex:gemini 1 gemini~gone 2 gemini~none;SADD groups:codex gemini", "blocked:codex:gemini",
         "ready:gemini"),
        ("ZADD blocked:codex:gemini 1 gemini~gone", "blocked:codex:gemini", "groups:codex"),
        # group
        ("ZREM blocked codex;HSET limits codex 2", "groups:codex", "blocked:codex:codex"),
        ("ZREM blocked codex;HSET limits codex 2", "groups:codex", "slots:codex"),
        ("ZREM blocked codex;HSET limits codex 2", "groups:codex", "ready:codex"),
        ("SREM groups:codex codex;HSET limits codex 2", "blocked:codex:codex", "ready:codex"),
        ("ZREM blocked codex;HSET limits codex 2", "groups:codex", "ready:codex+gpu"),
        ("SREM groups:codex codex;HSET limits codex 2", "blocked:codex:codex", "blocked:codex:codex+gpu"),
        # open: another route of the key
        ("HSET limits codex 2", "groups:codex", "ready:codex+gpu"),
        # wait
        ("ZREM lane:gemini~gemini free;HDEL lanes:gemini gemini~gemini", "workspace:free", "ready:gemini"),
        (f"HSET workspace:free deadline {FAR};ZREM lane:gemini~gemini free", "workspace:free", "lanes:gemini"),
    ],
)  # fmt: skip
def test_a_mend_that_would_meet_a_damaged_key_says_so_and_writes_nothing(
    fleet: World, commands: str, key: str, damaged: str
) -> None:
    if "+gpu" in damaged:
        fleet.ask(ops.Submit(workspace="labelled", agent="codex", labels=["gpu"]))
    by_hand(fleet, *commands.split(";"), f"SET {damaged} by~hand")
    before = fleet.keys()
    answer = mend(fleet, key)
    assert answer.count == 0
    assert {one.mend for one in answer.found} == {None}
    assert all(one.text.endswith(f"; first mend {ROOT}:{damaged}") for one in answer.found)
    assert fleet.keys() == before


LANE_LOST = ("HSET limits codex 2", "SADD slots:codex ghost", "ZREM blocked codex", "HDEL lanes:codex codex~codex",
             "ZREM blocked:codex:codex codex~codex", "DEL ready:codex+gpu", "SET ready:codex+gpu by~hand")  # fmt: skip
ROUTE_LOST = ("ZREM hosts h1", "ZREM routes gemini", "HDEL lanes:gemini gemini~gemini", "DEL serves:h1",
              "SET serves:h1 by~hand")  # fmt: skip


@pytest.mark.parametrize(
    ("commands", "keys", "mended", "damaged"),
    [
        (("SADD slots:codex ghost", "ZREM hosts h1", "DEL host:h1", "SET host:h1 by~hand"),
         ["slots:codex", "host:h1"], [True, False], "host:h1"),
        (LANE_LOST, ["lane:codex codex", "slots:codex"], [True, False], "ready:codex+gpu"),
        ((*LANE_LOST, "ZREM lane:codex~codex waits"), ["workspace:waits", "slots:codex"], [True, False],
         "ready:codex+gpu"),
        (ROUTE_LOST, ["host:h1", "lane:gemini gemini"], [True, False], "serves:h1"),
    ],
)  # fmt: skip
def test_a_mend_after_others_of_its_call_is_made_whole_or_not_at_all(
    fleet: World, commands: tuple[str, ...], keys: list[str], mended: list[bool], damaged: str
) -> None:
    fleet.ask(ops.Submit(workspace="labelled", agent="codex", labels=["gpu"]))
    by_hand(fleet, *commands)
    answer = mend(fleet, *keys)
    assert [one.mended for one in answer.found] == mended
    assert answer.found[-1].text.endswith(f"; first mend {ROOT}:{damaged}")
    before = fleet.keys()
    again = mend(fleet, keys[-1])
    assert (again.count, fleet.keys()) == (0, before)


@pytest.mark.parametrize(
    ("command", "key", "count"),
    [
        ("HSET workspace:waits lane ~", "workspace:waits", 0),
        ("ZADD lane:~ 1 ghost", "lane: ", 1),
        ("ZADD lane: 1 ghost", "lane:", 1),
    ],
)
def test_a_lane_without_a_word_keeps_nothing_else_from_being_mended(
    fleet: World, command: str, key: str, count: int
) -> None:
    by_hand(fleet, command, "SADD slots:codex ghost")
    assert mend(fleet, key, "slots:codex").count == count + 1
    assert "ghost" not in fleet.keys()["slots:codex"]


def test_one_whose_lane_was_written_by_hand_can_be_ended(fleet: World) -> None:
    by_hand(fleet, "HSET workspace:waits lane ~")
    fleet.ask(ops.Kill(workspace="waits"))
    assert fleet.keys()["workspace:waits"]["status"] == "failed"


@pytest.mark.parametrize(("question", "field"), [({}, "keys"), ({"keys": ["slots:codex"], "cursor": "a b"}, "cursor")])
def test_a_question_without_keys_or_with_no_cursor_of_ours_is_refused(
    world: World, question: dict[str, Any], field: str
) -> None:
    answer = json.loads(world.redis.fcall("dispatch_mend", 1, ROOT, json.dumps(question)))
    assert (answer["outcome"], [one["field"] for one in answer["problems"]]) == ("invalid", [field])
