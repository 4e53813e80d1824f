"""A host that is said to be dead: what becomes of its runs, of what only seems to be one, and of an asker."""

import pytest

from coordinator import operations as ops
from coordinator.operations.host import HostHolds, HostSet
from tests.model.world import ROOT, START, World
from tests.servers import REDIS
from tests.unit.operations.stopping import changes_nothing, damage
from tests.unit.operations.test_waiting_hosts import claim, host, queue

pytestmark = pytest.mark.parametrize("server_kind", [REDIS], indirect=True)

DEAD = ops.Host(host="h2", action="forget", dead=True)


def runs(world: World, *names: str) -> None:
    """On h2."""
    host(world, "h2", "codex")
    queue(world, *names)
    assert claim(world, "h2") == list(names)


def test_what_somebody_killed_has_failed_when_its_host_is_dead_and_the_others_wait_again(world: World) -> None:
    runs(world, "a", "b")
    world.ask(ops.Kill(workspace="a"))
    assert world.ask(DEAD) == HostSet(host="h2", state="forgotten", requeued=("b",))
    a, b = sorted(world.ask(ops.Query()).workspaces, key=lambda one: one.workspace)
    assert (a.status, a.verdict, a.question) == ("failed", "killed", "killed; its host was said to be dead")
    assert (b.status, b.verdict, b.question) == ("queued", None, None)


def test_a_host_is_not_forgotten_where_what_somebody_killed_can_not_fail(world: World) -> None:
    runs(world, "a", "b")
    world.ask(ops.Kill(workspace="b"))
    damage(world, "status:failed")
    changes_nothing(world, DEAD, "status:failed", "zset")


def test_what_does_not_run_there_is_left_as_it_is_when_its_host_is_dead(world: World) -> None:
    runs(world, "ended", "runs")
    token = int(world.keys()["workspace:ended"]["token"])
    world.ask(ops.Complete(workspace="ended", token=token, status="completed"))
    queue(world, "other")
    assert claim(world, "h1") == ["other"]
    world.redis.sadd(f"{ROOT}:held:h2", "ended", "other", "gone")  # by hand
    before = world.keys()
    assert world.ask(DEAD) == HostSet(host="h2", state="forgotten", requeued=("runs",))
    after = world.keys()
    for name in ("workspace:ended", "workspace:other", "status:completed", "held:h1"):
        assert after[name] == before[name]
    assert (after.get("held:h2"), after.get("workspace:gone")) == (None, None)
    assert after["status:running"] == {"other": START}


def test_an_asker_whose_machine_is_dead_is_forgotten_like_a_worker(world: World) -> None:
    world.ask(ops.Submit(workspace="a", agent="codex", asker="svc"))
    assert world.ask(ops.Host(host="svc", action="quiet")).outcome == "unknown"
    assert isinstance(world.ask(ops.Host(host="svc", action="forget")), HostHolds)
    answer = world.ask(ops.Host(host="svc", action="forget", dead=True))
    assert answer == HostSet(host="svc", state="forgotten", requeued=("a",))
    assert world.ask(ops.Host(host="svc", action="forget")).outcome == "unknown"
