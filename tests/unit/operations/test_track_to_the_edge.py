"""track at its edges: which word moves what, what a record keeps of it, and what damage stops."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from coordinator import operations as ops
from coordinator.models import Workspace
from coordinator.operations.apply import FleetSettings
from coordinator.operations.track import Tracked
from tests.model.world import ROOT, START, World
from tests.servers import REDIS
from tests.unit.operations.stopping import changes_nothing, damage
from tests.unit.operations.test_waiting_hosts import claim, queue

pytestmark = pytest.mark.parametrize("server_kind", [REDIS], indirect=True)

HISTORY = 100_000
LEASE = 3_600_000
RUNNING = {"workspace": "a", "agent": "codex", "status": "running", "pid": 5}
QUEUED = {"workspace": "a", "agent": "codex", "status": "queued"}


def said(*found: Mapping[str, object], host: str | None = "h1") -> ops.Track:
    return ops.Track.model_validate({"workspaces": found, "host": host})


def track(world: World, *found: Mapping[str, object], host: str | None = "h1") -> tuple[int, int, int]:
    """How many were new, were changed, and are another host's."""
    answer = world.ask(said(*found, host=host))
    assert isinstance(answer, Tracked)
    return answer.new, answer.changed, answer.foreign


def record(world: World, name: str = "a") -> Workspace:
    (found,) = world.ask(ops.Query(workspace=name)).workspaces
    return found


def row(world: World, name: str = "a") -> dict[str, str]:
    """The record as it is kept."""
    found: dict[str, str] = world.keys()[f"workspace:{name}"]
    return found


def outcome(world: World, question: Mapping[str, object]) -> str:
    """Of a question by its wire form."""
    text: Any = world.redis.fcall("dispatch_track", 1, ROOT, json.dumps(question))
    return str(json.loads(text)["outcome"])


@pytest.mark.parametrize("field", ["runs", "started_at", "updated_at", "token", "priority"])
def test_a_number_below_zero_counts_and_dates_nothing(world: World, field: str) -> None:
    assert outcome(world, {"workspaces": [{"workspace": "a", field: -1}]}) == "invalid"
    assert outcome(world, {"workspaces": [{"workspace": "a", field: 1}]}) == "tracked"


@pytest.mark.parametrize(("many", "told"), [(256, "tracked"), (257, "invalid")])
def test_a_question_tells_of_256_workspaces_at_most(world: World, many: int, told: str) -> None:
    assert outcome(world, {"workspaces": [{"workspace": "a"}] * many}) == told


def test_the_agent_is_the_one_named_else_the_one_known_else_the_default(world: World) -> None:
    bare = {"workspace": "a", "status": "failed"}
    track(world, bare)
    assert record(world).agent == "claude"
    world.ask(ops.Apply(default_agent="gemini"))
    track(world, {**bare, "workspace": "b"})
    assert record(world, "b").agent == "gemini"
    track(world, {**bare, "agent": "codex"})
    track(world, {**bare, "question": "q"})
    assert (record(world).agent, record(world).question) == ("codex", "q")


@pytest.mark.parametrize(
    ("status", "asker", "named", "pinned"),
    [
        ("queued", None, "h2", "h2"),
        ("failed", None, "h2", "h2"),
        ("running", None, "h2", None),
        ("queued", "h1", "h2", "h1"),
        ("running", "h1", None, "h1"),
        ("queued", None, None, None),
    ],
)
def test_a_new_one_is_pinned_to_the_host_whose_disk_it_lies_on(
    world: World, status: str, asker: str | None, named: str | None, pinned: str | None
) -> None:
    track(world, {**RUNNING, "status": status, **({"host": named} if named else {})}, host=asker)
    assert record(world).requires == pinned


@pytest.mark.parametrize("priority", ["7", None])
def test_a_lane_that_other_rules_made_is_kept_while_nothing_that_makes_it_changes(
    world: World, priority: str | None
) -> None:
    track(world, {"workspace": "a", "agent": "codex", "status": "failed", "priority": int(priority or 5)})
    key, lane = f"{ROOT}:workspace:a", "codex@h1 codex team #3"
    world.redis.hset(key, "lane", lane)
    if priority is None:
        world.redis.hdel(key, "priority")
    track(world, {"workspace": "a", "status": "merged"})
    assert (record(world).status, row(world)["lane"]) == ("merged", lane)
    track(world, {"workspace": "a", "status": "failed", "priority": 8})
    assert row(world)["lane"] != lane


@pytest.mark.parametrize(("token", "status"), [(START - HISTORY, "queued"), (START - HISTORY - 1, "blocked")])
def test_a_run_that_history_may_have_forgotten_is_not_queued_again(world: World, token: int, status: str) -> None:
    world.ask(ops.Apply(settings=FleetSettings(history=HISTORY)))
    track(world, {**QUEUED, "token": token})
    assert record(world).status == status


@pytest.mark.parametrize(("said", "why"), [(None, True), ("queued", True), ("running", True), ("blocked", False)])
def test_a_forgotten_run_that_is_not_said_to_have_ended_may_have_ended_elsewhere(
    world: World, said: str | None, why: bool
) -> None:
    world.ask(ops.Apply(settings=FleetSettings(history=HISTORY)))
    found = {"workspace": "a", "agent": "codex", "token": 1, "question": "which?", **({"status": said} if said else {})}
    track(world, found)
    question = record(world).question
    assert (record(world).status, question != "which?") == ("blocked", why)
    assert ("may have ended elsewhere" in (question or "")) == why


def test_a_newer_file_of_a_run_that_history_may_have_forgotten_queues_nothing_that_has_ended(world: World) -> None:
    world.ask(ops.Apply(settings=FleetSettings(history=HISTORY)))
    track(world, {**QUEUED, "status": "failed", "updated_at": START - 5})
    old, new = START - HISTORY - 1, START - HISTORY
    assert track(world, {**QUEUED, "token": old, "updated_at": START + 1}) == (0, 0, 0)
    assert track(world, {**QUEUED, "token": new, "updated_at": START + 2}) == (0, 1, 0)


def test_of_runs_that_were_told_in_one_moment_each_is_moved_by_a_word_of_that_moment(world: World) -> None:
    both = [{**RUNNING, "workspace": name} for name in ("a", "b")]
    assert track(world, *both) == (2, 0, 0)
    ended = [{**one, "status": "completed", "updated_at": START} for one in both]
    assert track(world, *ended) == (0, 2, 0)


@pytest.mark.parametrize(("pid", "lives"), [(None, False), (0, False), (-1, False), (1, True)])
def test_a_process_that_is_seen_has_a_number_above_zero(world: World, pid: int | None, lives: bool) -> None:
    found = {name: value for name, value in {**RUNNING, "pid": pid}.items() if value is not None}
    queue(world, "a")
    assert track(world, found) == (0, int(lives), 0)
    assert record(world).status == ("running" if lives else "queued")
    assert track(world, {**found, "workspace": "b"}) == (1, 0, 0)
    assert record(world, "b").pid == (1 if lives else None)
    assert track(world, {**RUNNING, "workspace": "b", "pid": 7}) == (0, 0, 0)
    assert track(world, {**found, "workspace": "b"}) == (0, 0, 0)
    assert record(world, "b").pid == (1 if lives else 7)


def ended_later(world: World, how: str) -> None:
    """A run of h1 whose file is of START, and which ends 100 ms later."""
    track(world, {**RUNNING, "updated_at": START})
    world.set_clock(START + 100)
    if how == "completed":
        assert world.ask(ops.Complete(workspace="a", status="completed")).outcome == "completed"
    else:
        assert track(world, {**RUNNING, "status": how, "verdict": "lost", "updated_at": START + 10}) == (0, 1, 0)
    world.set_clock(START + 200)


@pytest.mark.parametrize("how", ["completed", "failed", "blocked"])
def test_only_a_lease_that_ran_out_makes_a_word_from_before_the_end_a_proof(world: World, how: str) -> None:
    ended_later(world, how)
    assert track(world, {**QUEUED, "updated_at": START + 50}) == (0, 0, 0)
    assert record(world).status == how


def test_a_file_that_told_of_an_end_is_no_news_afterwards_though_its_date_lies_ahead(world: World) -> None:
    track(world, {**RUNNING, "updated_at": START})
    ended = {**RUNNING, "status": "completed", "updated_at": START + 500}
    assert track(world, ended) == (0, 1, 0)
    assert track(world, {**ended, "status": "queued"}) == (0, 0, 0)
    assert record(world).status == "completed"


def test_what_is_entered_keeps_its_place_in_the_queue(world: World) -> None:
    track(world, {**QUEUED, "status": "failed"}, host=None)
    queue(world, "b", agent="codex")
    world.ask(ops.Retry(workspace="a"))
    world.ask(ops.Cancel(workspace="a"))
    track(world, QUEUED, host=None)
    assert claim(world) == ["a", "b"]


def test_times_that_lie_ahead_hold_for_what_a_disk_queues_again(world: World) -> None:
    queue(world, "a", not_before=START + 1000)
    world.ask(ops.Cancel(workspace="a"))
    assert track(world, QUEUED) == (0, 1, 0)
    assert claim(world) == []
    world.set_clock(START + 1000)
    assert claim(world, seq=2) == ["a"]


def test_a_deadline_that_is_over_does_not_hold_for_what_a_disk_queues_again(world: World) -> None:
    queue(world, "a", deadline=START + 10)
    world.ask(ops.Cancel(workspace="a"))
    world.set_clock(START + 20)
    assert track(world, QUEUED) == (0, 1, 0)
    assert (record(world).status, record(world).deadline) == ("queued", None)
    assert claim(world) == ["a"]


SAYS: dict[str, Any] = {"question": "which?", "verdict": "red", "exit_code": 4}
BEFORE: dict[str, Any] = {"question": "old?", "verdict": "old", "exit_code": 3}


def ending(world: World) -> dict[str, Any]:
    """What its record says of how it ended."""
    return {name: getattr(record(world), name) for name in SAYS}


@pytest.mark.parametrize("says", [SAYS, {}])
@pytest.mark.parametrize("was", ["failed", "running"])
def test_what_waits_again_says_of_its_end_what_its_host_does(world: World, was: str, says: dict[str, Any]) -> None:
    track(world, {**RUNNING, **BEFORE, "status": was})
    assert track(world, {**QUEUED, **says}) == (0, 1, 0)
    assert record(world).status == "queued"
    assert ending(world) == dict.fromkeys(SAYS) | says


@pytest.mark.parametrize("says", [SAYS, {}])
def test_what_ended_says_of_it_what_its_host_does(world: World, says: dict[str, Any]) -> None:
    track(world, {**RUNNING, **BEFORE})
    assert track(world, {**RUNNING, **says, "status": "failed"}) == (0, 1, 0)
    assert ending(world) == dict.fromkeys(SAYS) | says


def test_an_ending_may_name_another_agent(world: World) -> None:
    track(world, RUNNING)
    assert track(world, {**RUNNING, "status": "failed", "agent": "gemini:pro", "priority": 7}) == (0, 1, 0)
    assert (record(world).agent, record(world).priority) == ("gemini:pro", 7)
    assert world.keys().get("slots:codex") is None
    world.ask(ops.Retry(workspace="a"))
    assert world.keys()["lanes:gemini@h1"].keys() == {"gemini@h1 gemini gemini:pro #14"}


def test_one_that_somebody_killed_has_the_verdict_of_that(world: World) -> None:
    track(world, RUNNING)
    world.ask(ops.Kill(workspace="a"))
    assert track(world, {**QUEUED, "verdict": "red", "updated_at": START}) == (0, 1, 0)
    assert (record(world).status, record(world).verdict) == ("failed", "killed")


def test_what_falls_due_first_stays_so_when_a_run_is_told_again(world: World) -> None:
    track(world, RUNNING)
    world.set_clock(START + 1000)
    track(world, RUNNING)
    keys = world.keys()
    assert (keys["control"]["due"], keys["leases"]) == (str(START + LEASE), {"a": START + 1000 + LEASE})


def test_a_run_that_is_told_again_falls_due_also_where_its_lease_was_deleted_by_hand(world: World) -> None:
    track(world, RUNNING)
    world.redis.delete(f"{ROOT}:leases")
    assert world.ask(ops.Reap()).next_due is None
    track(world, RUNNING)
    assert world.keys()["control"]["due"] == str(START + LEASE)


@pytest.mark.parametrize(
    ("status", "host", "named", "holder"),
    [
        ("running", "h1", None, "h1"),
        ("running", "h1", "svc", "h1"),
        ("running", None, "svc", "svc"),
        ("running", None, None, "tracked"),
        ("failed", "h1", None, "h1"),
    ],
)
def test_a_new_one_changes_nothing_where_the_runs_of_its_holder_are_damaged(
    world: World, status: str, host: str | None, named: str | None, holder: str
) -> None:
    damage(world, f"held:{holder}")
    found = {**RUNNING, "status": status, **({"host": named} if named else {})}
    changes_nothing(world, said(found, host=host), f"held:{holder}", "set")


@pytest.mark.parametrize("status", ["queued", "completed", "blocked", "running"])
def test_a_damaged_record_stops_every_word_of_it(world: World, status: str) -> None:
    damage(world, "workspace:a")
    changes_nothing(world, said({**RUNNING, "workspace": "b"}, {**RUNNING, "status": status}), "workspace:a", "hash")


@pytest.mark.parametrize("key", ["status:completed", "status:failed", "slots:codex", "lanes:codex@h1"])
def test_an_end_changes_nothing_where_a_key_that_it_may_need_is_damaged(world: World, key: str) -> None:
    track(world, RUNNING)
    damage(world, key)
    kind = {"status": "zset", "slots": "set", "lanes": "hash"}[key.partition(":")[0]]
    changes_nothing(world, said({**RUNNING, "status": "completed"}), key, kind)


def test_the_end_of_one_that_somebody_killed_changes_nothing_where_it_can_not_fail(world: World) -> None:
    track(world, RUNNING)
    world.ask(ops.Kill(workspace="a"))
    damage(world, "status:failed")
    changes_nothing(world, said({**QUEUED, "updated_at": START}), "status:failed", "zset")


@pytest.mark.parametrize(
    ("key", "kind"), [("lane:codex codex", "zset"), ("lanes:codex", "hash"), ("ready:codex", "zset")]
)
def test_what_is_seen_alive_leaves_the_lane_in_which_it_waits_whole_or_not_at_all(
    world: World, key: str, kind: str
) -> None:
    queue(world, "a")
    damage(world, key)
    changes_nothing(world, said({**RUNNING, "agent": "gemini"}), key, kind)
