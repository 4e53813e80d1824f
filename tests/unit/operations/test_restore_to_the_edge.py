"""restore at its edges: what of a run is known again, what of it stands where, and what damage stops."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from coordinator import operations as ops
from coordinator.models import Workspace
from coordinator.operations.apply import FleetSettings
from coordinator.operations.restore import Restored
from tests.model.world import ROOT, START, World
from tests.servers import REDIS
from tests.unit.operations import rich
from tests.unit.operations.stopping import changes_nothing, damage
from tests.unit.operations.test_waiting_hosts import claim, host, queue

pytestmark = pytest.mark.parametrize("server_kind", [REDIS], indirect=True)

TTL = 300_000
NEWER = START + 1_000_000  # a token that was given later than any of these tests'


def told(name: str = "a", token: int = NEWER, **more: Any) -> dict[str, Any]:
    return {"workspace": name, "token": token, "agent": "codex", **more}


def ended(name: str = "a", token: int = NEWER, **more: Any) -> dict[str, Any]:
    return told(name, token, ending={"workspace": name, "token": token, "status": "completed", **more})


def question(*runs: dict[str, Any], name: str = "h1") -> ops.Restore:
    return ops.Restore.model_validate({"host": name, "incarnation": "i", "runs": runs})


def restore(world: World, *runs: dict[str, Any]) -> Restored:
    answer = world.ask(question(*runs))
    assert isinstance(answer, Restored)
    return answer


def record(world: World, name: str = "a") -> Workspace:
    (found,) = world.ask(ops.Query(workspace=name)).workspaces
    return found


def runs_on(world: World, name: str, workspace: str = "a") -> int:
    """A host is granted this; its token."""
    host(world, name, "codex")
    queue(world, workspace)
    assert claim(world, name) == [workspace]
    return int(world.keys()[f"workspace:{workspace}"]["token"])


@pytest.mark.parametrize("field", ["attempt", "started_at", "pid"])
def test_a_number_that_its_host_tells_is_kept(world: World, field: str) -> None:
    assert restore(world, told() | {field: 3}).count == 1
    assert getattr(record(world), field) == 3


@pytest.mark.parametrize(("attempt", "kept"), [(0, 1), (1, 1), (2, 2)])
def test_a_run_is_the_first_attempt_at_least(world: World, attempt: int, kept: int) -> None:
    restore(world, told(attempt=attempt))
    assert (record(world).attempt, record(world).runs) == (kept, kept)


@pytest.mark.parametrize("label", ["a?b", "-a", "a" * 65])
def test_a_lane_with_a_label_that_no_submit_may_name_is_that_of_the_agent(world: World, label: str) -> None:
    restore(world, told(lane=f"codex+b+{label} codex label:b"))
    assert (world.keys()["workspace:a"]["lane"], record(world).labels) == ("codex codex", ())


@pytest.mark.parametrize(("history", "count"), [(TTL - 1, 0), (TTL, 1), (TTL + 1, 1)])
def test_an_ending_is_counted_again_where_history_keeps_as_long_as_a_host_tells_of_it(
    world: World, history: int, count: int
) -> None:
    world.ask(ops.Apply(settings=FleetSettings(lease_ttl=TTL, history=history)))
    token = runs_on(world, "h2")
    world.redis.delete(f"{ROOT}:workspace:a")  # known once, and not any more
    assert restore(world, ended(token=token)).count == count


@pytest.mark.parametrize(("many", "outcome"), [(16, "restored"), (17, "invalid")])
def test_a_question_tells_of_16_runs_at_most(world: World, many: int, outcome: str) -> None:
    runs = [told(f"w{number}", NEWER + number) for number in range(many)]
    asked = json.dumps({"host": "h1", "incarnation": "i", "runs": runs})
    text: Any = world.redis.fcall("dispatch_restore", 1, ROOT, asked)
    assert json.loads(text)["outcome"] == outcome


def test_an_ending_is_that_of_the_run_with_which_it_is_told(world: World) -> None:
    restore(world, told("b", NEWER + 1))
    run = ended() | {"ending": {"workspace": "b", "token": NEWER + 1, "status": "merged"}}
    restore(world, run)
    assert (record(world).status, record(world, "b").status) == ("merged", "running")


def test_a_known_run_that_is_told_again_has_its_lease_moved_on(world: World) -> None:
    restore(world, told())
    world.set_clock(START + 1000)
    assert restore(world, told(pid=9)).count == 0
    assert (world.keys()["leases"], record(world).pid) == ({"a": START + 1000 + TTL}, 9)


def test_one_that_waited_goes_back_to_its_place_when_its_run_is_lost(world: World) -> None:
    queue(world, "a", "b")
    restore(world, told())
    world.set_clock(START + TTL)
    world.ask(ops.Reap())
    assert claim(world) == ["a", "b"]


@pytest.mark.parametrize(("known", "since"), [(False, START - 7), (True, START)])
def test_a_run_of_which_nothing_is_known_was_queued_when_it_started(world: World, known: bool, since: int) -> None:
    if known:
        queue(world, "a")
    restore(world, told(started_at=START - 7))
    assert record(world).queued_at == since


def test_a_run_that_was_put_in_front_was_so_for_once(world: World) -> None:
    restore(world, told(lane="codex codex #11"), told("b", NEWER + 1, lane="codex codex"))
    for name, token in (("a", NEWER), ("b", NEWER + 1)):
        world.ask(ops.Complete(workspace=name, token=token, status="failed"))
        world.ask(ops.Retry(workspace=name))
    assert world.keys()["lanes:codex"].keys() == {"codex codex"}


def test_a_run_that_was_not_put_in_front_is_not_though_it_was_before(world: World) -> None:
    queue(world, "a")
    world.ask(ops.Cancel(workspace="a"))
    world.ask(ops.Retry(workspace="a", front=True))
    assert world.keys()["workspace:a"]["front"] == "1"
    restore(world, told(lane="codex codex"))
    assert "front" not in world.keys()["workspace:a"]


@pytest.mark.parametrize("run", [told(), ended()])
def test_a_damaged_record_stops_all_that_is_told_with_it(world: World, run: dict[str, Any]) -> None:
    damage(world, "workspace:a")
    changes_nothing(world, question(told("b", NEWER + 1), run), "workspace:a", "hash")


def test_a_damaged_host_tells_nothing(world: World) -> None:
    damage(world, "host:h1")
    changes_nothing(world, question(told()), "host:h1", "hash")


def test_an_older_run_of_another_host_gives_back_all_that_it_holds_or_nothing(world: World) -> None:
    runs_on(world, "h2")
    damage(world, "held:h2")
    changes_nothing(world, question(told()), "held:h2", "set")


@pytest.mark.parametrize(
    ("key", "kind"), [("lane:codex codex", "zset"), ("lanes:codex", "hash"), ("ready:codex", "zset")]
)
def test_one_that_waited_leaves_its_lane_whole_or_not_at_all(world: World, key: str, kind: str) -> None:
    queue(world, "a")
    damage(world, key)
    changes_nothing(world, question(told(agent="gemini")), key, kind)


@pytest.mark.parametrize("known", [True, False])
def test_an_ending_that_can_not_be_kept_changes_nothing(world: World, known: bool) -> None:
    token = runs_on(world, "h1") if known else NEWER
    damage(world, "status:completed")
    changes_nothing(world, question(ended(token=token)), "status:completed", "zset")


def test_a_stilled_run_that_might_have_to_fail_is_not_taken_where_it_can_not(world: World) -> None:
    damage(world, "status:failed")
    assert restore(world, told("b", NEWER + 1)).count == 1
    changes_nothing(world, question(told(stilled=True)), "status:failed", "zset")


@pytest.fixture
def full(server_url: str) -> Iterator[tuple["Redis", dict[str, int]]]:
    """A server without memory, and the tokens of what runs there."""
    with Redis.from_url(server_url) as client:
        tokens = rich.build(client)
        client.config_set("maxmemory", "1")
        yield client, tokens
        client.config_set("maxmemory", "0")


def test_a_host_tells_of_its_runs_also_when_memory_is_full(full: tuple["Redis", dict[str, int]]) -> None:
    """An ending that is told gives memory back."""
    redis, tokens = full
    run = {"workspace": "run", "token": tokens["run"], "agent": "codex:big"}
    run |= {"ending": {"workspace": "run", "token": tokens["run"], "status": "completed"}}
    answer = rich.ask(redis, "restore", {"host": "h1", "incarnation": "i1", "runs": [run]})
    assert answer["outcome"] == "restored"
    assert redis.hget(f"{rich.ROOT}:workspace:run", "status") == b"completed"
