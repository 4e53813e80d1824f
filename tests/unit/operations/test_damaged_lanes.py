"""Lanes whose keys were deleted or overwritten by hand: nothing that waits is lost or half moved, all else goes on."""

import json
from typing import Any

import pytest

from coordinator import operations as ops
from tests.model.world import ROOT, START, World
from tests.unit.operations.asking import Fleet

HOUR = 3_600_000
CODEX = "codex codex"  # the lane of all that is queued here


def queue(world: World, *names: str, **more: Any) -> None:
    for name in names:
        world.ask(ops.Submit(workspace=name, agent="codex", **more))


def damage(world: World, key: str) -> None:
    world.redis.delete(f"{ROOT}:{key}")
    world.redis.set(f"{ROOT}:{key}", "by hand")


def claim(world: World, seq: int) -> dict[str, Any]:
    asked = ops.Claim(host="h1", incarnation="i", seq=seq).encoded()
    answer: dict[str, Any] = json.loads(world.redis.execute_command("FCALL", "dispatch_claim", 1, ROOT, asked))  # type: ignore[no-untyped-call]
    return answer


def granted(answer: dict[str, Any]) -> list[str]:
    return [grant["workspace"] for grant in answer["grants"]]


def test_the_last_of_a_lane_is_not_taken_where_its_lane_could_not_leave(world: World) -> None:
    """As long as another waits behind the one that starts, its lane stays where it is."""
    queue(world, "a", "b")
    damage(world, "lanes:codex")
    first = claim(world, 1)
    assert (granted(first), first["more"]) == (["a"], True)
    before = world.keys()
    answer = claim(world, 2)
    assert (answer["outcome"], answer["key"]) == ("damaged", f"{ROOT}:lanes:codex")
    assert world.keys() == before
    world.redis.delete(f"{ROOT}:lanes:codex")
    assert granted(claim(world, 3)) == ["b"]


@pytest.mark.parametrize("key", ["lanes:codex", "groups:codex", "blocked:codex:codex"])
def test_a_lane_that_is_refused_is_not_moved_where_its_new_place_is_damaged(world: World, key: str) -> None:
    queue(world, "a", "b")
    world.ask(ops.Limit(key="codex", limit=0))
    damage(world, key)
    before = world.keys()
    answer = claim(world, 1)
    assert (answer["outcome"], answer["key"]) == ("damaged", f"{ROOT}:{key}")
    assert world.keys() == before
    world.redis.delete(f"{ROOT}:{key}")
    world.ask(ops.Limit(key="codex", limit=2))
    assert granted(claim(world, 2)) == ["a", "b"]


def test_a_lane_that_has_waited_long_stays_as_it_is_where_its_route_is_damaged(world: World) -> None:
    world.ask(ops.Limit(key="codex", limit=0))
    queue(world, "a")
    before = world.keys()
    assert (before["blocked"], before["lanes:codex"]) == ({"codex": 0}, {CODEX: "codex"})
    damage(world, "ready:codex")
    world.set_clock(START + HOUR)
    world.ask(ops.Reap())
    keys = world.keys()
    assert keys["blocked:codex:codex"] == before["blocked:codex:codex"]
    assert keys["fair:codex"] == before["fair:codex"]


def test_a_lane_that_does_not_wait_is_not_looked_at_again_for_having_waited_long(world: World) -> None:
    world.redis.zadd(f"{ROOT}:ages", {CODEX: START})
    assert world.ask(ops.Reap()).outcome == "reaped"
    keys = world.keys()
    assert [name for name in ("ages", "ready:codex", "fair:codex") if name in keys] == []


def test_a_mark_of_a_group_that_was_deleted_goes_and_keeps_nothing(world: World) -> None:
    world.ask(ops.Limit(key="team", limit=0))
    queue(world, "a", keys=["team"])
    queue(world, "b")
    world.ask(ops.Limit(key="team", limit=1))
    world.redis.delete(f"{ROOT}:blocked:team:codex")
    answer = claim(world, 1)
    assert (granted(answer), "more" in answer) == (["b"], False)
    keys = world.keys()
    assert [name for name in ("ready:codex", "groups:team", "blocked") if name in keys] == []


def test_a_lane_whose_workspaces_were_deleted_goes_and_keeps_nothing(world: World) -> None:
    queue(world, "a")
    queue(world, "b", repo="r")
    world.redis.delete(f"{ROOT}:lane:{CODEX}")
    answer = claim(world, 1)
    assert (granted(answer), "more" in answer) == (["b"], False)
    keys = world.keys()
    assert [name for name in ("ready:codex", "lanes:codex", "ages") if name in keys] == []


async def place(fleet: Fleet, name: str) -> tuple[int | None, int | None, int | None]:
    answer = await fleet.store.run(ops.Explain(workspace=name))
    assert answer.outcome == "explained"
    return answer.place, answer.lanes_before, answer.aged_to


@pytest.mark.parametrize("key", ["lanes:codex", "ready:codex"])
async def test_explain_says_no_more_than_the_keys_do_of_who_goes_first(fleet: Fleet, key: str) -> None:
    await fleet.queue("a", "b")
    await fleet.queue("c", repo="r")
    assert await place(fleet, "b") == (2, 0, None)
    assert await place(fleet, "c") == (1, 1, None)
    await fleet.redis.delete(fleet.store.key(key))
    assert await place(fleet, "b") == (2, None, None)


async def test_a_lane_that_a_key_refuses_stands_behind_those_that_are_ready_and_came_before(fleet: Fleet) -> None:
    """So it does when the key has opened."""
    await fleet.limit("team", 0)
    await fleet.queue("before")
    await fleet.queue("first", keys=["team"], repo="r1")
    await fleet.queue("second", keys=["team"], repo="r2")
    await fleet.queue("after", repo="r3")
    for limit in (0, 1):
        await fleet.limit("team", limit)
        assert [(await place(fleet, name))[1] for name in ("before", "first", "second")] == [0, 1, 2]
