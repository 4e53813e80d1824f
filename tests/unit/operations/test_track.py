"""track: what lies on a disk enters the registry, and never moves what waits or runs."""

from collections.abc import Mapping

import pytest

from coordinator.operations import Retry, Track
from coordinator.operations.track import Tracked
from tests.unit.operations.asking import Fleet


async def _track(fleet: Fleet, *found: Mapping[str, object], host: str | None = None) -> Tracked:
    return await fleet.store.run(Track.model_validate({"workspaces": found, "host": host}))


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


async def test_the_same_name_twice_in_a_call_is_one_workspace(fleet: Fleet) -> None:
    found = {"workspace": "a", "agent": "codex", "status": "queued"}
    assert await _track(fleet, found, found) == Tracked(new=1, changed=0)
    assert await fleet.redis.zcard("{t}:status:queued") == 1


async def test_what_is_queued_wakes_a_host_that_waits(fleet: Fleet) -> None:
    await fleet.host()
    async with fleet.listening("h1") as pokes:
        await fleet.claim()
        await fleet.track(["a", "b"])
        assert await pokes.next() == "h1"
        assert await fleet.granted() == ["a", "b"]
