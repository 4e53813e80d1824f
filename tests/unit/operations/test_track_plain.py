"""track by plain JSON, as a program in another language asks it."""

import json
from typing import Any

import pytest

from coordinator.operations import Query, Track
from coordinator.store import Store
from tests.unit.operations.asking import Fleet

STATUS = {"workspace": "core/go-io/task-5", "status": "failed", "agent": "codex:gpt-5.4", "repo": "go-io", "runs": 3}


async def _track(fleet: Fleet, *found: object) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        await fleet.redis.fcall("dispatch_track", 1, "{t}", json.dumps({"workspaces": found}))
    )
    return answer


@pytest.mark.reference(38, 39, "T10", "T12", "T66")
async def test_a_status_is_tracked_with_its_fields_and_those_of_others_are_passed_over(fleet: Fleet) -> None:
    assert (await _track(fleet, STATUS | {"issue": 5, "process_id": "p-1"}))["new"] == 1
    record = await fleet.record("core/go-io/task-5")
    assert (record.status, record.agent, record.repo, record.runs) == ("failed", "codex:gpt-5.4", "go-io", 3)


@pytest.mark.reference(38, "T13", "T14", "T15")
async def test_the_same_name_twice_is_one_with_the_newest_status(fleet: Fleet) -> None:
    assert (await fleet.store.run(Query())).workspaces == ()
    await _track(fleet, STATUS)
    assert [one.status for one in (await fleet.store.run(Query())).workspaces] == ["failed"]
    await _track(fleet, STATUS | {"status": "completed"})
    assert [one.status for one in (await fleet.store.run(Query())).workspaces] == ["completed"]


@pytest.mark.reference(39)
@pytest.mark.parametrize("wrong", [None, 5, [], {"workspace": "a", "status": "asleep"}, {"workspace": None}])
async def test_what_is_no_workspace_is_refused_by_its_field_and_nothing_is_kept(fleet: Fleet, wrong: object) -> None:
    answer = await _track(fleet, STATUS, wrong)
    assert answer["outcome"] == "invalid"
    assert answer["problems"][0]["field"].startswith("workspaces.1")
    assert (await fleet.store.run(Query())).workspaces == ()


@pytest.mark.reference(40, "T11")
async def test_the_first_call_of_a_new_namespace_may_be_track(store: Store) -> None:
    assert (await store.run(Track.model_validate({"workspaces": [STATUS]}))).new == 1
    assert [one.workspace for one in (await store.run(Query())).workspaces] == ["core/go-io/task-5"]


@pytest.mark.reference(47)
async def test_tracking_takes_nothing_away_and_wakes_a_host_for_what_it_queues(fleet: Fleet) -> None:
    await _track(fleet, STATUS)
    await fleet.host()
    async with fleet.listening("h1") as pokes:
        await fleet.claim()
        await _track(fleet, {"workspace": "a", "status": "queued", "agent": "codex"})
        assert await pokes.next() == "h1"
    assert {one.workspace for one in (await fleet.store.run(Query())).workspaces} == {"a", "core/go-io/task-5"}
