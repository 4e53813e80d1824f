"""What services say on the bus and in the inbox, and what two replicas make of it: each thing once."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator import actions
from coordinator.operations import Apply, GetStatus, Push, Thaw
from coordinator.replica import serve
from coordinator.replica.bus import Bus
from coordinator.replica.memory import Memory
from coordinator.replica.reports import Reports
from coordinator.replica.sweeper import Sweeper
from coordinator.store import Store
from tests.unit.operations.asking import Fleet
from tests.waiting import next_millisecond, wait_until

ROOT = "{dispatch}"
REPLICAS = 2


class Service(Fleet):
    """A fleet with two replicas, and a service that only knows how to PUBLISH and XADD."""

    marks = itertools.count()

    async def say(self, kind: str, **fields: Any) -> None:
        """Both replicas hear it."""
        assert await self.store.publish(json.dumps({"type": kind, **fields})) == REPLICAS

    async def write(self, kind: str, **fields: Any) -> None:
        """It is kept until a replica has read it. Written in a later millisecond than all that was told."""
        await next_millisecond(self.redis)
        await self.redis.xadd(self.store.key("inbox"), {"json": json.dumps({"type": kind, **fields})})

    async def all_is_done(self) -> None:
        """Each replica acts in the order in which it hears, and refuses this last report by a fact of its own."""
        mark = f"mark/{next(self.marks)}"
        await wait_until(self._inbox_is_empty, "the inbox is read")
        await self.say("AgentCompleted", workspace=mark, status="completed")

        await wait_until(lambda: self.refused(mark, REPLICAS), "both replicas have heard it")

    async def refused(self, mark: str, times: int) -> bool:
        return [fact["workspace"] for fact in await self.of("ReportRefused")].count(mark) == times

    async def listeners(self, count: int) -> bool:
        return bool((await self.redis.pubsub_numsub(self.store.key("bus")))[0][1] == count)

    async def _inbox_is_empty(self) -> bool:
        return not await self.redis.xlen(self.store.key("inbox"))

    async def of(self, kind: str) -> list[dict[str, Any]]:
        """Every fact of this type."""
        entries = await self.store.last_events(10_000)
        return [json.loads(entry.json) for entry in entries if entry.type == kind]

    async def told(self) -> list[tuple[str, Any]]:
        """Channel and data of every notification."""
        return [(fact["channel"], fact["data"]) for fact in await self.of("ChannelPush")]

    async def statuses(self, *names: str) -> list[str]:
        return [(await self.record(name)).status for name in names]


@pytest.fixture
async def service(server_url: str) -> AsyncIterator[Service]:
    async with (
        Store.connect(server_url, ROOT) as one,
        Store.connect(server_url, ROOT) as other,
        AsyncRedis.from_url(server_url, decode_responses=True) as redis,
    ):
        mine = Store(redis, ROOT)
        await mine.run(Thaw())
        stop = asyncio.Event()
        tasks = [asyncio.create_task(serve(store, stop)) for store in (one, other)]
        try:
            service = Service(mine, redis)
            await wait_until(lambda: service.listeners(REPLICAS), "both replicas hear the bus")
            yield service
        finally:
            stop.set()
            await asyncio.gather(*tasks)


@pytest.mark.reference(36, "W25", "T89")
async def test_what_two_replicas_hear_is_told_once(service: Service) -> None:
    await service.say("HarvestComplete", repo="go-io", branch="agent/x", files=3)
    await service.all_is_done()
    assert await service.told() == [
        ("harvest.status", {"status": "complete", "repo": "go-io", "branch": "agent/x", "files": 3})
    ]


@pytest.mark.reference(36, "T85", "T86")
async def test_each_kind_of_news_goes_to_its_channel(service: Service) -> None:
    await service.say("HarvestComplete", repo="go-io", branch="x", files=0)
    await service.say("HarvestRejected", repo="go-io", branch="x", reason="no tests")
    await service.say("InboxMessage", new=2, total=5)
    await service.say("ChannelPush", channel="build.status", data={"broken": [], "of": {}})
    await service.say("ChannelPush", channel="build.status", data=None)
    await service.all_is_done()
    assert sorted(await service.told(), key=str) == sorted(
        [
            ("harvest.status", {"status": "complete", "repo": "go-io", "branch": "x"}),
            ("harvest.status", {"status": "rejected", "repo": "go-io", "branch": "x", "reason": "no tests"}),
            ("inbox.status", {"new": 2, "total": 5}),
            ("build.status", {"broken": [], "of": {}}),
            ("build.status", None),
        ],
        key=str,
    )


async def test_the_same_text_twice_is_told_twice(service: Service) -> None:
    for _ in range(3):
        await service.say("InboxMessage", new=1, total=1)
    await service.all_is_done()
    assert await service.told() == [("inbox.status", {"new": 1, "total": 1})] * 3


async def test_a_text_that_goes_on_is_told_once_by_a_replica_that_began_late(service: Service, server_url: str) -> None:
    for _ in range(3):
        await service.say("InboxMessage", new=0, total=5)
        await service.all_is_done()
    for name in await service.redis.zrange(service.store.key("pushed"), 0, -1):
        await service.redis.zadd(service.store.key("pushed"), {str(name): 1})  # more than a minute ago
    stop = asyncio.Event()
    async with Store.connect(server_url, ROOT) as late:
        task = asyncio.create_task(serve(late, stop))
        await wait_until(lambda: service.listeners(REPLICAS + 1), "the third replica hears the bus")
        await service.store.run(Push(channel="x"))
        for count in (4, 5):
            await service.store.publish(json.dumps({"type": "InboxMessage", "new": 0, "total": 5}))
            mark = f"late/{count}"
            await service.store.publish(json.dumps({"type": "AgentCompleted", "workspace": mark, "status": "failed"}))
            await wait_until(partial(service.refused, mark, REPLICAS + 1), "all have heard it")
            assert [channel for channel, _ in await service.told()].count("inbox.status") == count
        stop.set()
        await task


async def test_what_is_kept_in_the_inbox_is_told_once(service: Service) -> None:
    for _ in range(2):
        await service.write("InboxMessage", new=1, total=1)
    await service.all_is_done()
    assert await service.told() == [("inbox.status", {"new": 1, "total": 1})] * 2


async def test_an_entry_of_the_inbox_that_was_told_before_a_crash_is_not_told_again(service: Service) -> None:
    await service.store.run(Push(channel="told by one that crashed", id="inbox:5-1"))
    text = json.dumps({"type": "InboxMessage", "new": 1, "total": 1})
    await service.redis.xadd(service.store.key("inbox"), {"json": text}, id="5-1")
    await service.all_is_done()
    assert await service.told() == [("told by one that crashed", None)]


@pytest.mark.reference(34, 37, "W26", "T84")
async def test_a_drained_queue_is_told_by_the_library_alone(service: Service) -> None:
    await service.say("QueueDrained", completed=9)
    await service.say("PokeQueue")
    await service.end(await service.ask_for("a"))
    await service.all_is_done()
    assert await service.told() == [("queue.status", {"completed": 1})]


@pytest.mark.reference(35, 72, "T87")
async def test_a_usage_limit_shuts_the_gate_and_is_told_once(service: Service) -> None:
    await service.say("RateLimitDetected", pool="codex", duration="30m0s")
    await service.all_is_done()
    assert await service.told() == [("ratelimit.status", {"pool": "codex", "duration": "30m0s"})]
    status = await service.store.run(GetStatus())
    (until,) = [view.until for view in status.keys if view.key == "codex"]
    assert until is not None
    assert 1_700_000 < until - status.now <= 1_800_000
    await service.say("RateLimitDetected", pool="codex", duration="1s")
    await service.all_is_done()
    (later,) = [view.until for view in (await service.store.run(GetStatus())).keys if view.key == "codex"]
    assert later == until


async def test_a_usage_limit_of_one_account_leaves_the_others_of_its_pool(service: Service) -> None:
    await service.store.run(Apply(accounts={"codex": ["home", "work"]}))
    await service.say("RateLimitDetected", pool="codex", account="home", duration="30m0s")
    await service.all_is_done()
    said = {"pool": "codex", "account": "home", "duration": "30m0s"}
    assert await service.told() == [("ratelimit.status", said)]
    assert [one.key for one in (await service.store.run(GetStatus())).keys if one.until] == ["account:codex/home"]
    grant = await service.ask_for("a")
    assert grant.account == "work"


@pytest.mark.reference(35, "T88")
@pytest.mark.parametrize(("pool", "duration"), [("codex", "soon"), ("", "30m0s"), ("codex", "0s")])
async def test_a_usage_limit_that_can_not_be_read_is_told_and_shuts_nothing(
    service: Service, pool: str, duration: str, caplog: pytest.LogCaptureFixture
) -> None:
    await service.say("RateLimitDetected", pool=pool, duration=duration)
    await service.all_is_done()
    assert await service.told() == [("ratelimit.status", {"pool": pool, "duration": duration})]
    assert await service.redis.exists(service.store.key("backoff")) == 0
    assert "malformed count=1" in caplog.text


@pytest.mark.reference(29, "W18", "T67", "T91")
async def test_a_report_that_names_a_workspace_ends_that_one_alone(service: Service) -> None:
    for name in ("core/go-io/task-4", "core/go-io/task-5"):
        await service.ask_for(name, repo="go-io", org="core")
    await service.say("AgentCompleted", workspace="core/go-io/task-5", repo="go-io", agent="codex", status="completed")
    await service.say("AgentCompleted", workspace="task-4", repo="go-io", agent="codex", status="failed")
    await service.all_is_done()
    assert await service.statuses("core/go-io/task-4", "core/go-io/task-5") == ["running", "completed"]
    assert len(await service.of("AgentCompleted")) == 1


@pytest.mark.reference(28, 29, "W18")
async def test_a_report_without_a_workspace_ends_the_runs_of_its_repo_that_no_worker_holds(service: Service) -> None:
    await service.host(slots=1)
    await service.host("p1", "gemini", slots=2, mode="push")
    await service.queue("worker", repo="go-io", org="core")
    await service.queue("pushed", agent="gemini", repo="go-io", org="core")
    assert await service.granted() == ["worker"]
    assert (await service.record("pushed")).host == "p1"
    await service.ask_for("asked", repo="go-io", org="core")
    await service.ask_for("model", "codex:gpt-5.4", repo="go-io", org="core")
    await service.ask_for("elsewhere", repo="go-io", org="other")
    await service.ask_for("web", repo="web", org="core")

    await service.say("AgentCompleted", workspace="", agent="codex:gpt-5.4", repo="core/go-io", status="merged")
    await service.all_is_done()
    names = ("worker", "pushed", "asked", "model", "elsewhere", "web")
    assert await service.statuses(*names) == ["running", "running", "running", "merged", "running", "running"]

    await service.say("AgentCompleted", agent="codex", repo="core/go-io", status="completed")
    await service.all_is_done()
    assert await service.statuses(*names) == ["running", "running", "completed", "merged", "running", "running"]

    await service.write("AgentCompleted", repo="go-io", status="failed", question="the disk is full")
    await service.all_is_done()
    assert await service.statuses(*names) == ["running", "failed", "completed", "merged", "failed", "running"]
    assert (await service.record("pushed")).question == "the disk is full"
    assert len(await service.of("AgentCompleted")) == 4
    assert "worker" not in [fact["workspace"] for fact in await service.of("ReportRefused")]


async def test_a_report_of_a_repo_ends_nothing_that_started_after_it(service: Service) -> None:
    await service.ask_for("a", repo="go-io")
    entry = await service.store.latest()
    await service.say("AgentCompleted", repo="go-io", status="completed")
    await service.all_is_done()
    await service.ask_for("b", repo="go-io")
    kept = {"type": "AgentCompleted", "repo": "go-io", "status": "completed"}
    await service.redis.xadd(service.store.key("inbox"), {"json": json.dumps(kept)}, id=entry)
    await service.all_is_done()
    assert await service.statuses("a", "b") == ["completed", "running"]


async def test_an_entry_of_the_millisecond_in_which_a_run_was_granted_may_be_older_and_does_not_end_it(
    service: Service,
) -> None:
    await service.ask_for("a")
    granted = str(await service.redis.hget(service.store.key("workspace", "a"), "granted")).partition("-")[0]
    report: Any = {"json": json.dumps({"type": "AgentCompleted", "workspace": "a", "status": "completed"})}
    await service.redis.xadd(service.store.key("inbox"), report, id=f"{granted}-9")
    await service.all_is_done()
    assert await service.statuses("a") == ["running"]
    await service.redis.xadd(service.store.key("inbox"), report, id=f"{int(granted) + 1}-0")
    await service.all_is_done()
    assert await service.statuses("a") == ["completed"]


@pytest.mark.parametrize("seq", ["x", "0-1", "99999999999999-0"])
async def test_a_forged_fact_dates_no_report(service: Service, caplog: pytest.LogCaptureFixture, seq: str) -> None:
    await service.ask_for("a")
    await service.say("AgentStarted", seq=seq)
    await service.say("AgentCompleted", workspace="a", status="completed")
    await service.all_is_done()
    assert await service.statuses("a") == ["completed"]
    assert "surprise" not in caplog.text


async def test_a_forged_fact_of_the_future_is_forgotten_with_the_next(server_url: str) -> None:
    async with Store.connect(server_url, ROOT) as store, AsyncRedis.from_url(server_url) as redis:
        fleet = Fleet(store, redis)
        await store.run(Thaw())
        bus = Bus(store, Reports(store, Sweeper(store, memory := Memory(store)), memory))
        await fleet.ask_for("a")
        before = await store.latest()
        await bus.hear('{"type":"X","seq":"99999999999999-0"}')
        await bus.hear(json.dumps({"type": "X", "seq": before}))
        await fleet.end(await fleet.ask_for("b"))
        await fleet.ask_for("b", again=True)
        await bus.hear('{"type":"AgentCompleted","workspace":"b","status":"failed"}')  # of its first run
        await bus.hear('{"type":"AgentCompleted","workspace":"a","status":"failed"}')
        assert [(await fleet.record(name)).status for name in "ab"] == ["failed", "running"]


async def test_a_report_of_no_run_is_refused_by_a_fact(service: Service) -> None:
    await service.write("AgentCompleted", workspace="nobody", status="completed")
    await service.all_is_done()
    refused = [fact for fact in await service.of("ReportRefused") if fact["workspace"] == "nobody"]
    assert {fact["reason"] for fact in refused} == {"there is no such workspace"}


@pytest.mark.reference(26, 33, "T32", "T92")
async def test_malformed_and_unknown_messages_stop_nothing(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    for text in ("", "{", "null", "[]", '{"type":5}', '{"type":"ChannelPush","channel":" "}', '{"type":"PRMerged"}'):
        await service.redis.publish(service.store.key("bus"), text)
    await service.redis.publish(service.store.key("bus"), b"\xff\xfe")
    await service.redis.xadd(service.store.key("inbox"), {"other": "x"})
    await service.say("PokeQueue", host="h1")
    await service.all_is_done()
    assert await service.told() == []
    assert "channel: is required" in caplog.text
    assert caplog.text.count("malformed count=7 ") >= REPLICAS
    assert "surprise" not in caplog.text


async def test_a_damaged_key_stops_only_what_needs_it(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    await service.ask_for("a")
    await service.redis.set(service.store.key("pushed"), "oops")
    await service.say("InboxMessage", new=1, total=1)
    await service.say("AgentCompleted", workspace="a", status="completed")
    await service.all_is_done()
    assert await service.statuses("a") == ["completed"]
    assert "not acted on: the key {dispatch}:pushed is a string, not a zset" in caplog.text


async def test_an_entry_of_the_inbox_that_needs_a_damaged_key_is_kept_and_holds_up_no_other(service: Service) -> None:
    await service.ask_for("a")
    await service.ask_for("b")
    key = service.store.key("workspace", "a")
    await service.redis.rename(key, "{dispatch}-damaged")
    await service.redis.set(key, "oops")
    for name in ("a", "b"):
        await service.write("AgentCompleted", workspace=name, status="completed")

    async def ended(name: str) -> bool:
        return await service.statuses(name) == ["completed"]

    await wait_until(lambda: ended("b"), "the other one is read")
    await service.redis.rename("{dispatch}-damaged", key)
    await wait_until(lambda: ended("a"), "the one that was kept is read again")
    await service.all_is_done()


@pytest.mark.reference(18, 35, "W19")
async def test_there_is_one_switch_and_one_gate_whoever_moved_it(service: Service, server_url: str) -> None:
    async with Store.connect(server_url, ROOT) as elsewhere:
        await service.say("RateLimitDetected", pool="codex", duration="30m0s")
        await service.all_is_done()
        asked = await actions.dispatch(elsewhere, "a", "codex", asker="svc", otherwise="refuse")
        assert asked.text.startswith("codex backs off for ")
        await actions.stop(elsewhere)
        assert (await actions.dispatch(service.store, "b", "claude")).text == "queued - queue is frozen"
        await actions.start(service.store)
        asked = await actions.dispatch(elsewhere, "c", "claude", asker="svc", otherwise="refuse")
        assert asked.text == "granted"


@pytest.mark.reference(21, 33, "T92")
async def test_poke_is_heard_by_every_replica(service: Service) -> None:
    poked = await actions.poke(service.store)
    assert (poked.heard, poked.text) == (REPLICAS, "poked; 2 listeners heard it")


@pytest.mark.reference(27, 30, 32, "T90", "T91")
async def test_an_ending_that_is_reported_tells_the_live_count_and_wakes_what_waits(service: Service) -> None:
    await service.limit("codex", 1)
    await service.host(slots=1)
    await service.ask_for("a", repo="go-io")
    await service.queue("b", repo="go-io")
    assert await service.granted() == []
    async with service.hearing() as heard, service.listening("h1") as pokes:
        await service.redis.publish(
            service.store.key("bus"), '{"type":"AgentCompleted","workspace":"a","status":"merged"}'
        )
        assert await pokes.next() == "h1"
        notes = [json.loads(text) for text in await heard.texts() if "AgentNotification" in text]
        assert [(note["status"], note["running"], note["limit"]) for note in notes] == [("merged", 0, 1)]
        assert await service.granted() == ["b"]
        notes = [json.loads(text) for text in await heard.texts() if "AgentNotification" in text]
        assert [(note["status"], note["running"], note["limit"]) for note in notes] == [("started", 1, 1)]
