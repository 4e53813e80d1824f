"""track: what lies on a disk enters the registry, and never moves what waits or runs."""

import json
from collections.abc import Mapping

import pytest

from coordinator.operations import Query, Retry, Track
from coordinator.operations.track import Tracked
from coordinator.store import Store
from tests.unit.operations.asking import Fleet


async def _track(fleet: Fleet, *found: Mapping[str, object], host: str | None = None) -> Tracked:
    return await fleet.store.run(Track.model_validate({"workspaces": found, "host": host}))


@pytest.mark.reference(38, "T10", "T14", "T15")
async def test_what_ended_is_known_once_and_changes_when_the_disk_does(fleet: Fleet) -> None:
    found = {"workspace": "a", "agent": "codex", "status": "completed", "repo": "io", "question": "q"}
    assert await _track(fleet, found) == Tracked(new=1, changed=0)
    assert await _track(fleet, found) == Tracked(new=0, changed=0)
    assert await _track(fleet, {**found, "status": "merged"}) == Tracked(new=0, changed=1)
    record = await fleet.record("a")
    assert (record.status, record.repo, record.question) == ("merged", "io", "q")
    assert await fleet.redis.exists("{t}:status:completed") == 0


async def test_what_is_queued_on_disk_is_queued_for_its_host(fleet: Fleet) -> None:
    assert await _track(fleet, {"workspace": "a", "agent": "codex", "status": "queued"}, host="h2") == Tracked(
        new=1, changed=0
    )
    await fleet.host("h1")
    await fleet.host("h2")
    assert await fleet.granted("h1") == []
    assert await fleet.granted("h2") == ["a"]


@pytest.mark.reference("W11")
async def test_what_ran_on_disk_has_no_proof_of_death(fleet: Fleet) -> None:
    found = {"workspace": "a", "agent": "codex", "status": "running", "pid": 5}
    assert await _track(fleet, found) == Tracked(new=1, changed=0)
    record = await fleet.record("a")
    assert record.status == "blocked"
    assert (record.question or "").startswith("no proof of death: it was running when it was tracked")
    assert (await fleet.store.run(Retry(workspace="a"))).count == 1


@pytest.mark.parametrize("status", ["completed", "running", "queued"])
async def test_what_waits_or_runs_stays_as_it_is(fleet: Fleet, status: str) -> None:
    await fleet.queue("a")
    await fleet.ask_for("b")
    found = [{"workspace": name, "agent": "claude", "status": status} for name in ("a", "b")]
    assert await _track(fleet, *found) == Tracked(new=0, changed=0)
    assert [(await fleet.record(name)).status for name in ("a", "b")] == ["queued", "running"]
    assert (await fleet.record("a")).agent == "codex"


@pytest.mark.reference(38, "T15")
async def test_the_same_name_twice_in_a_call_is_one_workspace(fleet: Fleet) -> None:
    found = {"workspace": "a", "agent": "codex", "status": "queued"}
    assert await _track(fleet, found, found) == Tracked(new=1, changed=0)
    assert await fleet.redis.zcard("{t}:status:queued") == 1


@pytest.mark.reference(47)
async def test_what_is_queued_wakes_a_host_that_waits(fleet: Fleet) -> None:
    await fleet.host()
    async with fleet.listening("h1") as pokes:
        await fleet.claim()
        await fleet.track(["a", "b"])
        assert await pokes.next() == "h1"
        assert await fleet.granted() == ["a", "b"]


@pytest.mark.reference(39, "T12", "T66")
async def test_plain_json_of_another_program_is_tracked_with_its_fields(fleet: Fleet) -> None:
    status = {
        "workspace": "core/go-io/task-5",
        "status": "failed",
        "agent": "codex:gpt-5.4",
        "repo": "go-io",
        "runs": 3,
    }
    others = {"issue": 5, "updated_at": "2026-03-26T10:00:00Z", "process_id": "p-1"}
    asked = json.dumps({"workspaces": [status | others]})
    answer = json.loads(await fleet.redis.fcall("dispatch_track", 1, "{t}", asked))
    assert (answer["outcome"], answer["new"]) == ("tracked", 1)
    record = await fleet.record("core/go-io/task-5")
    assert (record.status, record.agent, record.repo, record.runs) == ("failed", "codex:gpt-5.4", "go-io", 3)


@pytest.mark.reference(39)
@pytest.mark.parametrize("wrong", [None, 5, [], {"workspace": "a", "status": "asleep"}, {"workspace": None}])
async def test_what_is_no_workspace_is_refused_by_its_field_and_nothing_is_kept(fleet: Fleet, wrong: object) -> None:
    asked = json.dumps({"workspaces": [{"workspace": "good"}, wrong]})
    answer = json.loads(await fleet.redis.fcall("dispatch_track", 1, "{t}", asked))
    assert answer["outcome"] == "invalid"
    assert answer["problems"][0]["field"].startswith("workspaces.1")
    assert (await fleet.store.run(Query())).workspaces == ()


@pytest.mark.reference(40, "T11")
async def test_the_first_call_of_a_new_namespace_may_be_track(store: Store) -> None:
    found = {"workspace": "a", "agent": "codex", "status": "completed"}
    assert await store.run(Track.model_validate({"workspaces": [found]})) == Tracked(new=1, changed=0)
    assert [one.workspace for one in (await store.run(Query())).workspaces] == ["a"]
