"""Push hosts at their edges: which of several is handed what, and what a call leaves to the next one."""

from typing import Any

import pytest

from coordinator import operations as ops
from coordinator.operations.renew import Renewed
from tests.model.world import START, World
from tests.unit.operations.stopping import ask, damage, names
from tests.unit.operations.test_waiting_hosts import queue

SILENT = START + 30_001  # three beats later, and a moment


def push_host(world: World, *hosts: str, pools: str = "codex", slots: int = 1, **more: Any) -> None:
    for name in hosts:
        world.ask(
            ops.Renew(host=name, incarnation="i", mode="push", pools=pools.split(), slots=slots, machine="m", **more)
        )


def beat(world: World, name: str) -> Renewed:
    answer = world.ask(ops.Renew(host=name, incarnation="i"))
    assert isinstance(answer, Renewed)
    return answer


def spawned(world: World) -> list[tuple[str, str]]:
    """(host, workspace) of all that was handed out since the last look."""
    return [(fact["host"], fact["workspace"]) for fact in world.facts() if fact["type"] == "SpawnQueued"]


def thawed(world: World, *work: str) -> None:
    """This waits, and the push hosts do: a thaw hands the first of it to the first of them, and calls the second."""
    world.ask(ops.Freeze())
    queue(world, *work)
    world.ask(ops.Thaw())
    assert spawned(world) == [("p1", work[0])]
    assert world.keys()["poked"] == {"p2": START}


def test_a_push_host_that_was_called_and_left_to_others_is_handed_its_work_by_its_own_beat(world: World) -> None:
    push_host(world, "p1", "p2", "p3")
    thawed(world, "a", "b", "c")
    assert [grant.workspace for grant in beat(world, "p2").unseen] == ["b"]
    assert spawned(world) == [("p2", "b")]


def test_a_push_host_that_is_handed_work_by_its_beat_calls_no_other_where_no_more_waits(world: World) -> None:
    push_host(world, "p1", "p2", "p3")
    thawed(world, "a", "b")
    world.set_clock(START + 1)
    assert [grant.workspace for grant in beat(world, "p2").unseen] == ["b"]
    keys = world.keys()
    assert (keys.get("poked"), keys["waiting:codex"]) == (None, {"p3": START})


def test_a_push_host_waits_since_it_began_to_however_often_it_beats(world: World) -> None:
    push_host(world, "p1")
    world.set_clock(START + 5)
    beat(world, "p1")
    assert world.keys()["host:p1"]["waiting"] == str(START)


def test_a_push_host_that_went_silent_costs_the_next_one_no_time(world: World) -> None:
    push_host(world, "p1", "p2")
    world.set_clock(SILENT)
    beat(world, "p2")
    queue(world, "a")
    assert spawned(world) == [("p2", "a")]
    assert world.keys().get("poked") is None


def test_one_push_host_is_called_for_one_piece_of_work(world: World) -> None:
    push_host(world, "p1", "p2")
    queue(world, "a")
    assert spawned(world) == [("p1", "a")]
    keys = world.keys()
    assert (keys.get("poked"), keys["waiting:codex"]) == (None, {"p2": START})


def test_a_push_host_that_went_silent_after_it_was_called_is_given_nothing(world: World) -> None:
    push_host(world, "p1", "p2", "p3")
    thawed(world, "a", "b")
    world.set_clock(SILENT)
    beat(world, "p3")
    assert spawned(world) == []
    world.ask(ops.Reap())
    assert spawned(world) == [("p3", "b")]
    assert world.keys()["workspace:b"]["host"] == "p3"


def test_a_push_host_one_of_whose_keys_is_damaged_is_given_nothing_when_its_turn_comes(world: World) -> None:
    world.ask(ops.Limit(key="gemini", limit=0))
    queue(world, "g", agent="gemini")  # so there is a route that it serves
    push_host(world, "p1")
    push_host(world, "p2", pools="codex gemini", slots=2)
    thawed(world, "a", "b")
    damage(world, "waiting:gemini")
    assert names(ask(world, ops.Reap())) == ("damaged", "waiting:gemini", "zset")
    keys = world.keys()
    assert (spawned(world), keys["workspace:b"]["status"], keys.get("held:p2")) == ([], "queued", None)


def test_a_push_host_one_of_whose_keys_is_damaged_waits_for_nothing_rather_than_for_a_part(world: World) -> None:
    pools = ("codex", "gemini", "claude")
    world.ask(ops.Limit(key="gemini", limit=0))
    world.ask(ops.Limit(key="claude", limit=0))
    push_host(world, "p1", pools=" ".join(pools))
    queue(world, "a")
    queue(world, "g", agent="gemini")
    queue(world, "c", agent="claude")
    assert spawned(world) == [("p1", "a")]
    damage(world, "waiting:claude")
    token = int(world.keys()["workspace:a"]["token"])
    assert world.ask(ops.Complete(workspace="a", token=token, status="completed")).outcome == "completed"
    keys = world.keys()
    assert [keys.get(f"waiting:{pool}") for pool in pools] == [None, None, "by hand"]
    assert "waiting" not in keys["host:p1"]


def test_what_has_become_due_goes_before_what_waited_behind_it(world: World) -> None:
    queue(world, "a", priority=9, not_before=START + 10)
    queue(world, "b", priority=0)
    world.set_clock(START + 10)
    push_host(world, "p1")
    assert spawned(world) == [("p1", "a")]


@pytest.mark.parametrize("due", [7, 8, 9, 10])
def test_a_call_that_hands_out_looks_at_eight_of_what_is_due(world: World, due: int) -> None:
    queue(world, "b")
    for number in range(due):
        world.ask(ops.Freeze(key=f"k{number}", until=START + 10))
        queue(world, f"w{number}", not_before=START + 10)
    world.set_clock(START + 10)
    push_host(world, "p1")
    keys = world.keys()
    left = max(due - 8, 0)
    assert (len(keys.get("timers", ())), len(keys.get("frozen", ())), len(keys.get("later", ()))) == (left, left, left)


def test_a_host_is_woken_for_what_the_second_look_of_a_call_finds_due(world: World) -> None:
    """A beat looks when it hands its own host work, and at its end once more: eight each time."""
    push_host(world, "p1", "p2", "p3")
    world.ask(ops.Renew(host="h9", incarnation="i", pools=["gemini"], slots=1))
    world.listen("h9")
    assert world.ask(ops.Claim(host="h9", incarnation="i", seq=1)).grants == ()
    for number in range(8):
        queue(world, f"c{number}", not_before=START + 10)
    queue(world, "g", agent="gemini", not_before=START + 11)
    thawed(world, "a", "b")
    world.set_clock(START + 20)
    beat(world, "p2")
    keys = world.keys()
    assert (spawned(world), keys.get("later"), keys["ready:gemini"].keys()) == ([("p2", "c0")], None, {"gemini gemini"})
    assert world.heard() == ["h9"]
