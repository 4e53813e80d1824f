"""track: what lies on a disk enters the registry; what waits or runs moves by its own host's word alone."""

from collections.abc import Mapping
from typing import Any

import pytest

from coordinator.operations import Cancel, Complete, GetStatus, Kill, Reap, Retry, Submit, Track
from coordinator.operations.track import Tracked
from tests.unit.operations.asking import Fleet

RUNNING = {"workspace": "a", "agent": "codex", "status": "running", "pid": 5}
AHEAD = 10**13  # ms; no server's clock is there yet


async def _track(fleet: Fleet, *found: Mapping[str, object], host: str | None = None) -> tuple[int, int, int]:
    answer = await fleet.store.run(Track.model_validate({"workspaces": found, "host": host}))
    assert isinstance(answer, Tracked)
    return answer.new, answer.changed, answer.foreign


async def _now(fleet: Fleet) -> int:
    return (await fleet.store.run(GetStatus())).now


@pytest.mark.reference(10, 38, 39, "T10", "T12", "T15", "T66")
async def test_what_ended_is_known_once_and_changes_when_the_disk_does(fleet: Fleet) -> None:
    found = {"workspace": "a", "agent": "codex", "status": "completed", "repo": "io", "question": "q"}
    assert await _track(fleet, found) == (1, 0, 0)
    assert await _track(fleet, found) == (0, 0, 0)
    assert await _track(fleet, {**found, "status": "merged"}) == (0, 1, 0)
    record = await fleet.record("a")
    assert (record.status, record.repo, record.question) == ("merged", "io", "q")
    assert await fleet.redis.exists("{t}:status:completed") == 0


@pytest.mark.reference(16, "T19", "T20", "T21")
async def test_every_status_is_counted_in_its_group(fleet: Fleet) -> None:
    assert (await fleet.store.run(GetStatus())).running == 0
    statuses = ["queued", "running", "completed", "merged", "ready-for-review", "failed", "blocked"]
    await _track(fleet, *({"workspace": f"w/{one}", "agent": "codex", "status": one} for one in statuses))
    status = await fleet.store.run(GetStatus())
    assert (status.running, status.queued, status.completed, status.failed) == (1, 1, 3, 2)


async def test_what_is_queued_on_disk_is_queued_for_its_host(fleet: Fleet) -> None:
    assert await _track(fleet, {"workspace": "a", "agent": "codex", "status": "queued"}, host="h2") == (1, 0, 0)
    await fleet.host("h1")
    await fleet.host("h2")
    assert await fleet.granted("h1") == []
    assert await fleet.granted("h2") == ["a"]


@pytest.mark.reference(39, "W5", "W11")
async def test_a_run_that_somebody_says_is_alive_counts_also_beyond_a_limit(fleet: Fleet) -> None:
    await fleet.limit("codex", 1)
    second = {**RUNNING, "workspace": "b", "pid": -1, "runs": 3, "started_at": 1000}
    assert await _track(fleet, RUNNING, second, host="h1") == (2, 0, 0)
    assert (await fleet.store.run(GetStatus())).running == 2
    assert await fleet.redis.scard("{t}:slots:codex") == 2
    a, b = await fleet.record("a"), await fleet.record("b")
    assert (a.status, a.host, a.mode, a.pid, a.runs) == ("running", "h1", "asker", 5, 1)
    assert (b.pid, b.runs, b.started_at) == (None, 3, 1000)
    assert (a.token or 0) < (b.token or 0)
    await fleet.host("h1")
    await fleet.queue("c")
    assert await fleet.granted() == []
    for name in ("a", "b"):
        assert (await fleet.store.run(Complete(workspace=name, status="completed"))).outcome == "completed"
    assert await fleet.granted() == ["c"]


@pytest.mark.parametrize(
    ("named", "host", "holder"), [(None, None, "tracked"), ("svc", None, "svc"), ("x", "h1", "h1")]
)
async def test_the_holder_is_the_disks_host_else_the_one_named(
    fleet: Fleet, named: str | None, host: str | None, holder: str
) -> None:
    await _track(fleet, {**RUNNING, **({"host": named} if named else {})}, host=host)
    record = await fleet.record("a")
    assert (record.host, record.requires) == (holder, host)


async def test_a_run_told_of_again_lives_on_and_one_that_lapses_has_no_proof_of_death(fleet: Fleet) -> None:
    await _track(fleet, RUNNING, host="h1")
    await fleet.lapse("a")
    assert await _track(fleet, {**RUNNING, "pid": 6}, host="h1") == (0, 0, 0)
    assert (await fleet.store.run(Reap())).lost == ()
    assert (await fleet.record("a")).pid == 6
    await fleet.lapse("a")
    assert await _track(fleet, RUNNING) == (0, 0, 0)  # not its host's word
    await fleet.store.run(Reap())
    record = await fleet.record("a")
    assert (record.status, (record.question or "")[:17]) == ("blocked", "no proof of death")
    assert (await fleet.store.run(Retry(workspace="a"))).count == 1


async def _lapsed(fleet: Fleet, found: Mapping[str, object]) -> None:
    await _track(fleet, found, host="h1")
    await fleet.lapse("a")
    await fleet.store.run(Reap())
    assert (await fleet.record("a")).status == "blocked"


@pytest.mark.reference("W11")
@pytest.mark.parametrize("status", ["queued", "completed", "failed"])
async def test_the_word_of_its_host_is_the_proof_that_a_lapsed_run_waits_for(fleet: Fleet, status: str) -> None:
    found = {**RUNNING, "updated_at": 5}
    await _lapsed(fleet, found)
    assert await _track(fleet, {**found, "status": status, "updated_at": 4}, host="h1") == (0, 0, 0)
    assert await _track(fleet, {**found, "status": status}, host="h2") == (0, 0, 1)
    assert await _track(fleet, {**found, "status": status}, host="h1") == (0, 1, 0)
    record = await fleet.record("a")
    assert (record.status, record.verdict, record.question) == (status, None, None)


@pytest.mark.reference("W1", "W11")
async def test_a_lapsed_run_that_its_host_sees_alive_counts_again_and_no_other_word_makes_it_run(fleet: Fleet) -> None:
    found = {**RUNNING, "updated_at": 5}
    await _lapsed(fleet, found)
    assert await _track(fleet, {**found, "pid": -1}, host="h1") == (0, 0, 0)
    assert await _track(fleet, found, host="h1") == (0, 1, 0)
    assert await fleet.redis.scard("{t}:slots:codex") == 1
    assert await _track(fleet, found, host="h1") == (0, 0, 0)
    assert await _track(fleet, {**found, "status": "queued"}, host="h1") == (0, 1, 0)


@pytest.mark.reference("W11")
async def test_what_waits_and_is_seen_alive_by_its_host_is_not_started_again(fleet: Fleet) -> None:
    await fleet.queue("a")
    await fleet.queue("b")
    await fleet.host("h1")
    assert await _track(fleet, RUNNING) == (0, 0, 0)  # nobody's word
    assert await _track(fleet, {**RUNNING, "pid": -1}, host="h1") == (0, 0, 0)
    assert await _track(fleet, RUNNING, host="h1") == (0, 1, 0)
    record = await fleet.record("a")
    assert (record.status, record.mode, record.host, record.pid) == ("running", "asker", "h1", 5)
    assert await fleet.granted() == ["b"]
    assert await _track(fleet, {**RUNNING, "status": "queued"}, host="h1") == (0, 1, 0)
    assert await fleet.granted() == ["a"]


@pytest.mark.reference("T15")
@pytest.mark.parametrize("status", ["completed", "merged", "failed", "blocked"])
async def test_the_host_that_told_of_a_run_tells_its_ending(fleet: Fleet, status: str) -> None:
    await _track(fleet, RUNNING, host="h1")
    assert await _track(fleet, {**RUNNING, "status": status, "question": "q"}, host="h1") == (0, 1, 0)
    record = await fleet.record("a")
    assert (record.status, record.question) == (status, "q")
    assert await fleet.redis.exists("{t}:slots:codex", "{t}:leases", "{t}:held:h1") == 0


async def test_a_tracked_run_that_is_gone_waits_again_unless_its_end_was_wanted(fleet: Fleet) -> None:
    dated = {**RUNNING, "updated_at": 5}
    await _track(fleet, dated, {**dated, "workspace": "b"}, host="h1")
    await fleet.store.run(Kill(workspace="b"))
    gone = [{"workspace": name, "status": "queued", "updated_at": 5} for name in ("a", "b")]
    assert await _track(fleet, *gone, host="h1") == (0, 2, 0)
    assert await _track(fleet, *gone, host="h1") == (0, 0, 0)
    assert [(await fleet.record(name)).status for name in ("a", "b")] == ["queued", "failed"]
    await fleet.host("h1")
    assert await fleet.granted() == ["a"]
    assert await _track(fleet, gone[0], host="h1") == (0, 0, 0)  # now a worker's: nobody else's word moves it
    assert (await fleet.record("a")).mode == "pull"


@pytest.mark.parametrize(("word", "moved"), [("queued", "running"), ("blocked", "blocked")])
async def test_an_undated_word_does_not_queue_again_what_was_to_end(fleet: Fleet, word: str, moved: str) -> None:
    """It may be an old one; that it has ended is believed."""
    await _track(fleet, RUNNING, host="h1")
    await fleet.store.run(Kill(workspace="a"))
    await _track(fleet, {"workspace": "a", "status": word}, host="h1")
    assert (await fleet.record("a")).status == moved


async def test_an_older_statement_does_not_move_a_run(fleet: Fleet) -> None:
    await _track(fleet, RUNNING, host="h1")
    old = {"workspace": "a", "updated_at": await _now(fleet) - 1000}
    assert await _track(fleet, {**old, "status": "completed"}, {**old, "status": "queued"}, host="h1") == (0, 0, 0)
    assert (await fleet.record("a")).status == "running"


@pytest.mark.parametrize("status", ["completed", "running", "queued"])
async def test_what_waits_or_runs_stays_as_it_is(fleet: Fleet, status: str) -> None:
    await fleet.queue("a")
    await fleet.ask_for("b")
    found = [{"workspace": name, "agent": "claude", "status": status} for name in ("a", "b")]
    assert await _track(fleet, *found) == (0, 0, 0)
    assert [(await fleet.record(name)).status for name in ("a", "b")] == ["queued", "running"]
    assert (await fleet.record("a")).agent == "codex"


async def _cancelled(fleet: Fleet, found: Mapping[str, object]) -> None:
    await _track(fleet, found, host="h1")
    assert (await fleet.store.run(Cancel(workspace="a"))).count == 1


@pytest.mark.reference("W16")
@pytest.mark.parametrize("ahead", [0, AHEAD])
async def test_what_was_cancelled_is_not_queued_again_by_the_same_file(fleet: Fleet, ahead: int) -> None:
    found = {"workspace": "a", "agent": "codex", "status": "queued", "updated_at": await _now(fleet) + ahead}
    await _cancelled(fleet, found)
    assert await _track(fleet, found, host="h1") == (0, 0, 0)
    assert (await fleet.record("a")).status == "failed"


async def test_a_newer_file_and_an_explicit_word_queue_it_again(fleet: Fleet) -> None:
    found: dict[str, Any] = {"workspace": "a", "agent": "codex", "status": "queued"}
    await _cancelled(fleet, {**found, "updated_at": 5})
    assert await _track(fleet, {**found, "updated_at": 6}, host="h1") == (0, 0, 0)
    assert await _track(fleet, {**found, "updated_at": AHEAD}, host="h1") == (0, 1, 0)
    assert (await fleet.record("a")).question is None
    await fleet.store.run(Cancel(workspace="a"))
    assert await _track(fleet, found, host="h1") == (0, 1, 0)
    assert (await fleet.record("a")).status == "queued"


@pytest.mark.parametrize("status", ["queued", "running"])
async def test_the_run_that_the_registry_saw_end_has_ended_whatever_the_disk_says(fleet: Fleet, status: str) -> None:
    await fleet.host()
    await fleet.queue("a")
    [grant] = (await fleet.claim()).grants
    await fleet.end(grant)
    found = {"workspace": "a", "status": status, "token": grant.token, "updated_at": AHEAD}
    assert await _track(fleet, found, {**found, "token": grant.token - 1}, host="h1") == (0, 0, 0)
    assert await _track(fleet, {**found, "status": "completed", "started_at": 5}, host="h1") == (0, 0, 0)
    assert await _track(fleet, {**found, "status": "ready-for-review"}, host="h1") == (0, 1, 0)
    assert (await fleet.record("a")).requires is None  # it was free to run anywhere, and is
    assert await _track(fleet, {**found, "token": grant.token + 1, "updated_at": AHEAD + 1}, host="h1") == (0, 1, 0)


async def test_what_is_another_hosts_is_left_alone_and_counted(fleet: Fleet) -> None:
    await fleet.queue("pinned", host="h2")
    await fleet.ask_for("runs", asker="h2")
    await _track(fleet, {"workspace": "ended", "agent": "codex", "status": "failed"}, host="h2")
    copies = [{"workspace": name, "status": "completed"} for name in ("pinned", "runs", "ended")]
    assert await _track(fleet, *copies, host="h1") == (0, 0, 3)
    assert await _track(fleet, copies[2], host="h2") == (0, 1, 0)


async def test_the_same_name_twice_in_a_call_is_one_workspace(fleet: Fleet) -> None:
    found = {"workspace": "a", "agent": "codex", "status": "queued"}
    assert await _track(fleet, found, found) == (1, 0, 0)
    assert await fleet.redis.zcard("{t}:status:queued") == 1


@pytest.mark.reference(41)
async def test_a_statement_about_one_workspace_of_a_repo_frees_nothing_that_another_holds(fleet: Fleet) -> None:
    await fleet.ask_for("first", repo="io", org="core")
    await _track(fleet, {"workspace": "second", "agent": "codex", "repo": "io", "org": "core", "status": "completed"})
    assert await fleet.redis.smembers("{t}:slots:repo:core/io") == {"first"}


async def test_of_several_statements_in_a_question_the_last_counts_also_when_it_is_asked_again(fleet: Fleet) -> None:
    ended = {**RUNNING, "status": "completed"}
    assert await _track(fleet, RUNNING, ended) == (1, 0, 0)
    assert await _track(fleet, RUNNING, ended) == (0, 0, 0)
    assert (await fleet.record("a")).status == "completed"
    assert await fleet.redis.exists("{t}:slots:codex", "{t}:leases") == 0


async def test_a_worker_that_runs_it_later_owns_it(fleet: Fleet) -> None:
    await _track(fleet, RUNNING, host="h1")
    await _track(fleet, {**RUNNING, "status": "failed"}, host="h1")
    await fleet.store.run(Submit(workspace="a", agent="codex", again=True, asker="h1"))
    assert await _track(fleet, {**RUNNING, "status": "completed"}, host="h1") == (0, 0, 0)
    assert (await fleet.record("a")).status == "running"


async def test_what_is_queued_wakes_a_host_that_waits(fleet: Fleet) -> None:
    await fleet.host()
    async with fleet.listening("h1") as pokes:
        await fleet.claim()
        await fleet.track(["a", "b"])
        assert await pokes.next() == "h1"
        assert await fleet.granted() == ["a", "b"]
