"""complete: an ending counts once, is the holder's or a dated report, and hands out the next."""

import pytest

from coordinator.models import EndedProcess, Grant, Receipt
from coordinator.operations import BackOff, Complete, GetStatus, Kill, Retry
from coordinator.operations.complete import AlreadyEnded, Completed, Stale, UnknownWorkspace
from tests.unit.operations.asking import Fleet


async def _running(fleet: Fleet, name: str = "a") -> Grant:
    await fleet.host()
    await fleet.queue(name)
    (grant,) = (await fleet.claim()).grants
    return grant


async def _report(fleet: Fleet, name: str = "a", **more: object) -> object:
    return await fleet.store.run(Complete.model_validate({"workspace": name, "status": "completed", **more}))


@pytest.mark.reference(16, "W24")
@pytest.mark.parametrize("status", ["completed", "merged", "ready-for-review", "failed", "blocked"])
async def test_an_ending_frees_what_the_run_held_and_counts_once(fleet: Fleet, status: str) -> None:
    grant = await _running(fleet)
    assert await fleet.end(grant, status, exit_code=-3, question="q?", verdict="v") == Completed(status=status)
    assert await fleet.end(grant, "failed") == AlreadyEnded(status=status)
    record = await fleet.record("a")
    assert (record.status, record.exit_code, record.question, record.verdict) == (status, -3, "q?", "v")
    assert await fleet.redis.exists("{t}:slots:*", "{t}:slots:codex", "{t}:held:h1", "{t}:leases") == 0
    assert (await fleet.facts()).count("AgentCompleted") == 1
    assert (await fleet.store.run(GetStatus())).counts[status] == 1  # type: ignore[index]


@pytest.mark.reference("W16")
async def test_another_token_and_an_unknown_workspace_change_nothing(fleet: Fleet) -> None:
    grant = await _running(fleet)
    for token in (grant.token - 1, grant.token + 1, 0):
        assert await _report(fleet, token=token) == Stale(status="running")
    assert await _report(fleet, "nobody") == UnknownWorkspace()
    assert (await fleet.record("a")).status == "running"


async def test_the_next_is_granted_in_the_same_call_also_when_the_ending_is_old_news(fleet: Fleet) -> None:
    grant = await _running(fleet)
    await fleet.queue("b", "c")
    answer = await fleet.end(grant, claim=fleet.asking("h1", 1))
    assert [one.workspace for one in answer.grants] == ["b"]
    answer = await fleet.end(grant, claim=fleet.asking("h1", 1))
    assert (answer.outcome, [one.workspace for one in answer.grants]) == ("already", ["c"])


@pytest.mark.reference(32)
async def test_an_ending_wakes_a_host_that_waits_for_its_key(fleet: Fleet) -> None:
    await fleet.limit("codex", 1)
    grant = await fleet.ask_for("a")
    await fleet.host()
    await fleet.queue("b")
    async with fleet.listening("h1") as pokes:
        assert await fleet.granted() == []
        await fleet.end(grant)
        assert await pokes.next() == "h1"
        assert await fleet.granted() == ["b"]


async def test_an_ending_wakes_a_host_that_waits_for_room_under_everything(fleet: Fleet) -> None:
    await fleet.limit("*", 1)
    grant = await fleet.ask_for("a", "claude")
    await fleet.host()
    await fleet.queue("b")
    async with fleet.listening("h1") as pokes:
        assert await fleet.granted() == []
        await fleet.end(grant)
        assert await pokes.next() == "h1"


async def test_a_report_never_ends_what_a_worker_holds(fleet: Fleet) -> None:
    await _running(fleet)
    assert await _report(fleet) == Stale(status="running")
    fact = (await fleet.store.last_events(1))[0]
    assert fact.type == "ReportRefused"
    assert "a worker holds this run" in fact.json


async def test_a_report_ends_the_run_of_an_asker_once(fleet: Fleet) -> None:
    await fleet.ask_for("a")
    assert await _report(fleet, status="merged", pr_url="https://x/1") == Completed(status="merged")
    assert await _report(fleet, status="failed") == AlreadyEnded(status="merged")
    assert (await fleet.record("a")).pr_url == "https://x/1"


@pytest.mark.reference(29, "W18")
async def test_a_report_that_is_older_than_the_run_is_ignored(fleet: Fleet) -> None:
    before = await fleet.store.latest()
    await fleet.ask_for("a")
    assert await _report(fleet, as_of=before) == Stale(status="running")
    assert "older than the run" in (await fleet.store.last_events(1))[0].json
    assert await _report(fleet, as_of=await fleet.store.latest()) == Completed(status="completed")


async def test_a_report_dated_by_the_start_of_the_run_itself_is_its_own(fleet: Fleet) -> None:
    await fleet.ask_for("a")
    started = str(await fleet.redis.hget("{t}:workspace:a", "granted"))
    assert await _report(fleet, as_of=started) == Completed(status="completed")


async def test_a_usage_limit_shuts_the_pool_and_spends_no_attempt(fleet: Fleet) -> None:
    await fleet.queue("first", "second")
    await fleet.host()
    first, _ = (await fleet.claim()).grants
    await fleet.queue("third")
    assert await fleet.end(first, "failed", retry_after=90) == Completed(status="queued")
    assert await fleet.end(first, "failed", retry_after=90) == AlreadyEnded(status="queued")
    record = await fleet.record("first")
    assert (record.status, record.attempt, record.runs) == ("queued", 0, 1)
    assert await fleet.granted() == []
    no = await fleet.why("third")
    assert no is not None
    assert (no.key, no.reason, no.text) == (
        "codex",
        "backoff",
        "codex backs off for 1m30s: the provider named a time by h1",
    )
    await fleet.redis.hset("{t}:backoff", "codex", "1")
    await fleet.redis.zadd("{t}:timers", {"codex": 1})
    await fleet.redis.hset("{t}:control", "due", "1")
    assert await fleet.granted() == ["first", "third"]  # it came back to its old place


async def test_a_usage_limit_after_a_success_only_shuts_the_gate(fleet: Fleet) -> None:
    grant = await _running(fleet)
    assert await fleet.end(grant, "completed", retry_after=90) == Completed(status="completed")
    await fleet.queue("b")
    no = await fleet.why("b")
    assert no is not None
    assert no.reason == "backoff"


async def test_a_shorter_limit_never_moves_the_gate_earlier(fleet: Fleet) -> None:
    long, short = await fleet.ask_for("a"), await fleet.ask_for("b")
    await fleet.end(long, "failed", retry_after=3600)
    until = await fleet.redis.hget("{t}:backoff", "codex")
    await fleet.end(short, "failed", retry_after=60)
    assert await fleet.redis.hget("{t}:backoff", "codex") == until


async def test_what_was_killed_is_not_queued_again_by_a_limit(fleet: Fleet) -> None:
    grant = await _running(fleet)
    await fleet.store.run(Kill(workspace="a"))
    assert await fleet.end(grant, "failed", retry_after=60) == Completed(status="failed")


async def test_costs_add_up_over_the_attempts(fleet: Fleet) -> None:
    grant = await _running(fleet)
    await fleet.end(grant, "failed", retry_after=1, cost_usd=1_500_000)
    await fleet.store.run(BackOff(key="codex", clear=True))
    await fleet.end((await fleet.claim()).grants[0], cost_usd=1)
    assert (await fleet.record("a")).cost_usd == 1_500_001


@pytest.mark.reference(28, 29, "W7", "W18", "T67", "T91")
async def test_of_two_runs_of_one_repo_a_report_ends_the_one_it_names(fleet: Fleet) -> None:
    for name in ("core/io/task-1", "core/io/task-2"):
        await fleet.ask_for(name, org="core", repo="io")
    assert await fleet.redis.scard("{t}:slots:repo:core/io") == 2
    assert await _report(fleet, "core/io/task-1") == Completed(status="completed")
    assert await _report(fleet, "task-2") == UnknownWorkspace()  # the last part of a name is another name
    first, second = await fleet.record("core/io/task-1"), await fleet.record("core/io/task-2")
    assert (first.status, first.pid, second.status) == ("completed", None, "running")
    assert await fleet.redis.smembers("{t}:slots:repo:core/io") == {"core/io/task-2"}


@pytest.mark.reference(82)
async def test_each_run_has_its_own_start(fleet: Fleet) -> None:
    grant = await _running(fleet)
    await fleet.redis.hset("{t}:workspace:a", "started_at", "1")
    await fleet.end(grant, "failed")
    await fleet.submit("a", again=True)
    await fleet.claim()
    record = await fleet.record("a")
    assert (record.status, record.runs) == ("running", 2)
    assert (record.started_at or 0) > 1


async def test_a_receipt_is_kept_with_the_ending_until_the_next_run(fleet: Fleet) -> None:
    grant = await _running(fleet)
    receipt = Receipt(ended=(EndedProcess(pid=71, command="node server.js", by="KILL"),), cpu_ms=5)
    await fleet.end(grant, "failed", receipt=receipt.model_dump_json(exclude_none=True))
    assert (await fleet.record("a")).receipt == receipt
    await fleet.store.run(Retry(workspace="a"))
    assert (await fleet.record("a")).receipt == receipt
    await fleet.claim()
    assert (await fleet.record("a")).receipt is None
