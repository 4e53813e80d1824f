"""reap at its edges: how much of what is due it does, what it tells of it, and which routes it forgets."""

from typing import Any

import pytest

from coordinator import library
from coordinator import operations as ops
from coordinator.operations.reap import Reaped
from tests.model.world import ROOT, START, World
from tests.servers import REDIS
from tests.unit.operations.stopping import ask, damage
from tests.unit.operations.test_waiting_hosts import queue

pytestmark = pytest.mark.parametrize("server_kind", [REDIS], indirect=True)

HOUR, TWO_DAYS = 3_600_000, 172_800_000
ROUTE = "codex+gpu"
NOTHING: dict[str, Any] = {"outcome": "reaped", "lost": {}, "opened": {}, "lib": library.LIB}


def reap(world: World, now: int, **more: Any) -> Reaped:
    world.set_clock(now)
    answer = world.ask(ops.Reap(**more))
    assert isinstance(answer, Reaped)
    return answer


def wanted(world: World, *labels: str) -> None:
    """Work has waited in the routes of these labels, each of which is new, and waits no more."""
    for label in labels:
        queue(world, f"w-{label}", labels=[label])
        world.ask(ops.Cancel(workspace=f"w-{label}"))


def routes(world: World) -> dict[str, float]:
    found: dict[str, float] = world.keys().get("routes", {})
    return found


def serving(world: World, *hosts: str, **more: Any) -> None:
    for name in hosts:
        world.ask(ops.Renew(host=name, incarnation="i", pools=["codex"], labels=["gpu"], slots=2, **more))


def test_what_is_not_so_is_not_told(world: World) -> None:
    assert ask(world, ops.Reap()) == NOTHING | {"new": True}
    world.ask(ops.Apply(limits={}))
    assert ask(world, ops.Reap()) == NOTHING


def test_a_route_that_had_no_lane_for_an_hour_is_forgotten_and_what_its_lanes_used_two_days_later(world: World) -> None:
    serving(world, "h2", "h3")
    wanted(world, "gpu")
    reap(world, START + HOUR - 1)
    keys = world.keys()
    assert (keys[f"served:{ROUTE}"], keys["serves:h2"]) == ({"h2", "h3"}, {ROUTE})
    assert world.redis.pttl(f"{ROOT}:fair:{ROUTE}") == -1
    reap(world, START + HOUR)
    keys = world.keys()
    assert [name for name in keys if ROUTE in name] == [f"fair:{ROUTE}"]
    assert (keys.get("routes"), keys.get("serves:h2"), keys.get("serves:h3")) == (None, None, None)
    assert TWO_DAYS - 1000 < world.redis.pttl(f"{ROOT}:fair:{ROUTE}") <= TWO_DAYS


def test_of_many_routes_eight_are_forgotten_at_once(world: World) -> None:
    wanted(world, *(f"l{number}" for number in range(9)))
    reap(world, START + HOUR)
    assert len(routes(world)) == 1
    reap(world, START + HOUR)
    assert len(routes(world)) == 0


def test_a_route_that_has_a_lane_is_looked_at_again_an_hour_later(world: World) -> None:
    queue(world, "a", labels=["gpu"])
    reap(world, START + HOUR)
    assert routes(world) == {ROUTE: START + HOUR}
    world.ask(ops.Cancel(workspace="a"))
    reap(world, START + 2 * HOUR - 1)
    assert routes(world) == {ROUTE: START + HOUR}
    reap(world, START + 2 * HOUR)
    assert routes(world) == {}


def test_routes_that_have_lanes_do_not_keep_later_ones_from_being_forgotten(world: World) -> None:
    for number in range(8):
        queue(world, f"w{number}", labels=[f"l{number}"])
    world.set_clock(START + 1)
    wanted(world, "gpu")
    for _ in range(2):
        reap(world, START + 1 + HOUR)
    assert ROUTE not in routes(world)


@pytest.mark.parametrize("damaged", ["h2", "h3"])
def test_a_route_is_forgotten_of_all_its_hosts_or_of_none(world: World, damaged: str) -> None:
    serving(world, "h2", "h3")
    wanted(world, "gpu")
    damage(world, f"serves:{damaged}")
    reap(world, START + HOUR)
    (sound,) = {"h2", "h3"} - {damaged}
    keys = world.keys()
    assert (keys[f"serves:{sound}"], keys[f"served:{ROUTE}"]) == ({ROUTE}, {"h2", "h3"})
    assert routes(world) == {ROUTE: START + HOUR}


def test_a_route_whose_lanes_were_deleted_by_hand_leaves_nothing_that_is_ready(world: World) -> None:
    queue(world, "a", labels=["gpu"])
    world.redis.delete(f"{ROOT}:lanes:{ROUTE}")
    reap(world, START + HOUR)
    assert world.keys().get(f"ready:{ROUTE}") is None


def test_a_push_host_that_was_thawed_in_that_moment_does_not_wait_for_a_route_that_is_forgotten(world: World) -> None:
    wanted(world, "gpu")
    world.ask(ops.Freeze(key="host:p1", until=START + HOUR))
    world.set_clock(START + HOUR - 1)
    world.ask(ops.Host(host="h1", action="forget"))
    serving(world, "p1", mode="push")
    queue(world, "a")
    assert world.ask(ops.Query(workspace="a")).workspaces[0].status == "queued"
    reap(world, START + HOUR)
    keys = world.keys()
    assert keys["workspace:a"]["host"] == "p1"
    assert (keys["waiting:codex"], keys.get(f"waiting:{ROUTE}")) == ({"p1": START + HOUR}, None)


def test_what_falls_due_is_forgotten_when_nothing_does(world: World) -> None:
    world.ask(ops.Submit(workspace="a", agent="codex", asker="svc", ttl=60_000))
    assert reap(world, START).next_due == 60_000
    world.ask(ops.Complete(workspace="a", status="completed"))
    assert reap(world, START).next_due is None
    assert "due" not in world.keys()["control"]


def test_sixty_four_are_lost_at_once_where_nobody_says_how_many(world: World) -> None:
    found = [{"workspace": f"w{number}", "agent": "codex", "status": "running"} for number in range(65)]
    world.ask(ops.Track.model_validate({"workspaces": found, "host": "h1"}))
    first = reap(world, START + HOUR)
    assert (len(first.lost), first.more) == (64, True)
    second = reap(world, START + HOUR)
    assert (len(second.lost), second.more) == (1, False)


@pytest.mark.parametrize("faults", [0, 1, 2])
def test_status_shows_how_many_faults_a_walk_found(world: World, faults: int) -> None:
    reap(world, START, faults=5)
    reap(world, START, faults=faults)
    assert (world.ask(ops.GetStatus()).faults or 0, "faults" in world.keys()["control"]) == (faults, faults > 0)


@pytest.mark.parametrize("what", ["a freeze", "a moment"])
@pytest.mark.parametrize(("due", "more"), [(1, False), (2, True), (3, True)])
def test_there_may_be_more_where_as_much_was_due_as_may_be_done_at_once(
    world: World, what: str, due: int, more: bool
) -> None:
    for number in range(due):
        if what == "a freeze":
            world.ask(ops.Freeze(key=f"k{number}", until=START + 10))
            queue(world, f"w{number}", keys=[f"k{number}"])
        else:
            queue(world, f"w{number}", not_before=START + 10)
    assert reap(world, START + 10, limit=2).more == more
