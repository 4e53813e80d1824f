"""What is told beside the facts: who started and ended under how full a pool, and when the queue is empty."""

import json
from typing import Any

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.operations import BackOff, Cancel, Complete, Freeze, Host, Kill, Reap, Submit, Track
from coordinator.operations.track import OnDisk
from tests.unit.operations.asking import Fleet

FIELDS = ["type", "seq", "status", "repo", "agent", "workspace", "running", "limit"]


def notes(texts: list[str]) -> list[tuple[str, str, int, int]]:
    """(status, workspace, running, limit) of every notification."""
    told = [json.loads(text) for text in texts]
    return [
        (one["status"], one["workspace"], one["running"], one["limit"])
        for one in told
        if one["type"] == "AgentNotification"
    ]


async def drained(fleet: Fleet) -> list[Any]:
    found = [json.loads(entry.json) for entry in await fleet.store.last_events(200)]
    pushed = [fact["data"]["completed"] for fact in found if fact.get("channel") == "queue.status"]
    assert pushed == [fact["completed"] for fact in found if fact["type"] == "QueueDrained"]
    return pushed


@pytest.mark.reference(30, 31, "W25", "T90", "T91")
async def test_starts_and_endings_are_told_with_the_live_count_and_the_limit_of_the_pool(fleet: Fleet) -> None:
    await fleet.limit("codex", 3)
    async with fleet.hearing() as heard:
        one = await fleet.ask_for("core/a", "codex:gpt-5.4", repo="go-io", org="core")
        two = await fleet.ask_for("b")
        await fleet.end(one, "ready-for-review")
        texts = await heard.texts()
        assert notes(texts) == [
            ("started", "core/a", 1, 3),
            ("started", "b", 2, 3),
            ("ready-for-review", "core/a", 1, 3),
        ]
        facts = [json.loads(text) for text in texts if '"type":"Agent' in text]
        pairs = list(zip(facts[::2], facts[1::2], strict=True))
        assert all(note["seq"] == fact["seq"] and note["workspace"] == fact["workspace"] for fact, note in pairs)
        await fleet.end(two, "failed")
        assert notes(await heard.texts()) == [("failed", "b", 0, 3)]


@pytest.mark.reference(30)
async def test_a_notification_that_is_cut_short_still_shows_status_and_repo(fleet: Fleet) -> None:
    async with fleet.hearing() as heard:
        await fleet.ask_for("core/a", "codex", repo="go-io")
        (text,) = [text for text in await heard.texts() if "AgentNotification" in text]
        assert list(json.loads(text)) == FIELDS
        assert text.startswith('{"type":"AgentNotification","seq":"')
        assert text.index('"status":"started","repo":"go-io"') < 60


@pytest.mark.reference(31)
async def test_without_a_repo_and_a_limit_they_are_empty_and_nought(fleet: Fleet) -> None:
    async with fleet.hearing() as heard:
        await fleet.ask_for("a", "codex")
        (text,) = [text for text in await heard.texts() if "AgentNotification" in text]
        note = json.loads(text)
        assert (note["repo"], note["running"], note["limit"]) == ("", 1, 0)


async def test_a_usage_limit_ends_nothing_and_is_not_told_as_an_ending(fleet: Fleet) -> None:
    grant = await fleet.ask_for("a")
    async with fleet.hearing() as heard:
        await fleet.end(grant, "failed", retry_after=60)
        assert notes(await heard.texts()) == []
    assert await drained(fleet) == []


@pytest.mark.reference(37, "W26")
async def test_the_queue_is_drained_when_nothing_runs_and_nothing_waits(fleet: Fleet) -> None:
    await fleet.host(slots=1)
    await fleet.queue("a", "b", "c")
    (first,) = (await fleet.claim()).grants
    await fleet.end(first)
    assert await drained(fleet) == []
    (second,) = (await fleet.claim()).grants
    await fleet.store.run(Cancel(workspace="c"))
    assert await drained(fleet) == []
    await fleet.end(second, "failed")
    assert await drained(fleet) == [3]
    await fleet.end(second, "failed")
    await fleet.end(await fleet.ask_for("d"))
    assert await drained(fleet) == [3, 1]
    assert await fleet.redis.exists(fleet.store.key("ended")) == 0


@pytest.mark.reference(37)
async def test_a_call_that_ends_the_last_one_and_queues_another_drains_nothing(fleet: Fleet) -> None:
    await fleet.store.run(Track(workspaces=[OnDisk(workspace="a", status="running", agent="codex")], host="h1"))
    both = [OnDisk(workspace="a", status="completed"), OnDisk(workspace="b", status="queued", agent="codex")]
    await fleet.store.run(Track(workspaces=both, host="h1"))
    assert await drained(fleet) == []
    await fleet.store.run(Cancel(workspace="b"))
    assert await drained(fleet) == [2]


async def test_a_waiting_one_whose_record_was_deleted_by_hand_keeps_nothing_from_being_drained(fleet: Fleet) -> None:
    await fleet.host(slots=1)
    await fleet.queue("a", "b")
    await fleet.redis.delete("{t}:workspace:a")
    (grant,) = (await fleet.claim()).grants
    assert grant.workspace == "b"
    await fleet.end(grant)
    assert await drained(fleet) == [1]
    assert await fleet.redis.exists("{t}:status:queued") == 0


@pytest.mark.reference(25, 37, "W26")
async def test_looking_again_drains_nothing(fleet: Fleet) -> None:
    for _ in range(3):
        await fleet.store.run(Reap())
    await fleet.store.run(Freeze())
    await fleet.store.run(Reap())
    assert await drained(fleet) == []


@pytest.mark.reference(37)
async def test_every_way_to_end_the_last_one_drains(fleet: Fleet) -> None:
    await fleet.queue("a", "b")
    await fleet.store.run(Kill(agent="codex", cursor="q"))
    assert await drained(fleet) == [2]
    await fleet.ask_for("c", ttl=1_000_000)
    await fleet.lapse("c")
    await fleet.store.run(Reap())
    assert await drained(fleet) == [2, 1]
    await fleet.host()
    await fleet.queue("d")
    await fleet.claim()
    await fleet.store.run(Kill(workspace="d"))
    await fleet.store.run(Host(host="h1", action="forget", dead=True))
    assert await drained(fleet) == [2, 1, 1]


async def test_a_count_that_was_changed_by_hand_begins_anew(fleet: Fleet, raw: AsyncRedis) -> None:
    await raw.set(fleet.store.key("ended"), "many")
    await fleet.end(await fleet.ask_for("a"))
    assert await drained(fleet) == [1]


@pytest.mark.reference(29)
async def test_a_report_of_no_run_becomes_a_fact_and_the_word_of_a_holder_does_not(fleet: Fleet) -> None:
    run = fleet.store.run
    grant = await fleet.ask_for("a")
    newest = await fleet.store.latest()
    assert (await run(Complete(workspace="a", token=grant.token + 1, status="failed"))).outcome == "stale"
    assert (await run(Complete(workspace="none", token=1, status="failed"))).outcome == "unknown"
    assert await fleet.store.latest() == newest
    assert (await run(Complete(workspace="a", token=grant.token + 1, status="failed", as_of=newest))).outcome == "stale"
    assert (await run(Complete(workspace="none", status="failed"))).outcome == "unknown"
    assert (await run(Complete(workspace="none", token=1, status="failed", as_of=newest))).outcome == "unknown"
    refused = [json.loads(entry.json) for entry in await fleet.store.read_events(newest)]
    assert [(fact["type"], fact["workspace"], fact["reason"]) for fact in refused] == [
        ("ReportRefused", "a", "its token is not that of this run"),
        ("ReportRefused", "none", "there is no such workspace"),
        ("ReportRefused", "none", "there is no such workspace"),
    ]
    await fleet.end(grant)
    newest = await fleet.store.latest()
    assert (await run(Complete(workspace="a", status="failed"))).outcome == "already"
    assert await fleet.store.latest() == newest


@pytest.mark.reference(15, 76, "W4")
async def test_a_gate_that_is_shut_refuses_an_asker_too(fleet: Fleet) -> None:
    await fleet.store.run(BackOff.model_validate({"key": "codex", "for": 60_000}))
    answer = await fleet.store.run(Submit(workspace="a", agent="codex:gpt-5.4", asker="svc", otherwise="refuse"))
    assert answer.outcome == "refused"
    assert answer.refusal.reason == "backoff"
