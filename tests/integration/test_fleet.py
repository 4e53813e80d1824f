"""Real replicas, workers and agents on a real server: the main job, by the agents' own marks."""

import asyncio
import json
import random
from pathlib import Path

import pytest

from coordinator.operations import BackOff, Kill, Renew, Submit
from coordinator.operations.submit import Granted, Queued
from tests import marks
from tests.fleet import Fleet
from tests.waiting import next_millisecond, wait_until

CONCURRENCY: dict[str, object] = {"codex": {"total": 5, "gpt-5.4": 1}, "claude": 3, "gemini": 1}
LIMITS = {"codex": 5, "codex:gpt-5.4": 1, "claude": 3, "gemini": 1}
COUNTS = {"codex": 50, "codex:gpt-5.4": 12, "claude": 40, "gemini": 12}


@pytest.mark.reference(14, "W9", "W10", "W12", "W19")
@pytest.mark.timeout(120)
async def test_every_limit_is_reached_none_exceeded_and_each_runs_once_over_two_deaths(
    server_url: str, tmp_path: Path
) -> None:
    chance = random.Random(11)
    work = [agent for agent, count in COUNTS.items() for _ in range(count)]
    chance.shuffle(work)
    async with Fleet(server_url, tmp_path, CONCURRENCY) as fleet:
        for replica in ("r1", "r2"):
            fleet.serve(replica)
        for host in ("h1", "h2", "h3"):
            fleet.work(host, 4)
        await fleet.ready(3)
        asked = [
            Submit(workspace=f"many/t{at}", agent=agent, task=f"{chance.uniform(0.2, 0.5):.3f}")
            for at, agent in enumerate(work)
        ]
        await asyncio.gather(*(fleet.store.run(each) for each in asked))

        async def under_way() -> bool:
            return (await fleet.status()).completed >= 20

        await wait_until(under_way, "20 have completed", 30)
        fleet.kill("r1")
        fleet.kill("h1")
        fleet.serve("r1")
        fleet.work("h1", 4)
        status = await fleet.drained(60)
        seen = marks.read(fleet.marks)
        assert status.counts["completed"] == len(work)
        assert {name: count for name, count in marks.starts(seen).items() if count != 1} == {}
        most = marks.most_at_once(seen)
        assert {key: most[key] for key in LIMITS} == LIMITS


@pytest.mark.reference(24, 32)
async def test_one_report_of_an_askers_end_starts_the_waiting_one_without_a_tick(
    server_url: str, tmp_path: Path
) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 1}) as fleet:
        await fleet.begin(2)
        held = await fleet.store.run(Submit(workspace="held/t1", agent="codex", asker="service"))
        assert isinstance(held, Granted)
        waits = await fleet.store.run(Submit(workspace="next/t1", agent="codex", task="0"))
        assert isinstance(waits, Queued)
        assert waits.refusal
        assert waits.refusal.text == "queue at capacity: total 1/1"
        await fleet.heard()
        report = {"type": "AgentCompleted", "agent": "codex", "workspace": "held/t1", "status": "completed"}
        assert await fleet.store.publish(json.dumps(report)) >= 1
        await fleet.becomes("next/t1", "completed", deadline=5)  # a tick is 30 s away


async def test_a_report_in_the_inbox_waits_for_a_replica(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 1}) as fleet:
        await fleet.begin(1)
        fleet.kill("r1")
        await fleet.store.run(Submit(workspace="held/t1", agent="codex", asker="service"))
        report = json.dumps({"type": "AgentCompleted", "workspace": "held/t1", "status": "merged"})
        await next_millisecond(fleet.store.redis)
        await fleet.store.redis.xadd(fleet.store.key("inbox"), {"json": report})
        await fleet.store.redis.xadd(fleet.store.key("inbox"), {"json": b"\xff not json"})
        fleet.serve("r2")
        await fleet.becomes("held/t1", "merged")

        async def empty() -> bool:
            return await fleet.store.redis.xlen(fleet.store.key("inbox")) == 0

        await wait_until(empty, "the inbox is read to its end, over what is no report")


@pytest.mark.reference(26, "T32")
async def test_what_nobody_can_read_ends_no_replica(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 1}) as fleet:
        await fleet.begin(1)
        await fleet.heard()
        bus = fleet.store.key("bus")
        for nonsense in (b"", b"\xff\xfe", b"[]", b"{}", b'{"type":5}', b'{"type":"AgentCompleted"}', b"[" * 5000):
            await fleet.store.redis.publish(bus, nonsense)
        stale = {"type": "AgentCompleted", "workspace": "no/such", "status": "completed", "token": 5}
        await fleet.store.publish(json.dumps(stale))
        await fleet.store.run(Submit(workspace="held/t1", agent="codex", asker="service"))
        await fleet.store.publish(json.dumps(stale | {"workspace": "held/t1"}))
        await fleet.store.publish(json.dumps({"type": "AgentCompleted", "workspace": "held/t1", "status": "failed"}))
        await fleet.becomes("held/t1", "failed")
        assert fleet.said("r1").count("malformed") >= 5
        assert fleet.processes["r1"].poll() is None


@pytest.mark.reference(24, "W2")
async def test_work_starts_when_its_gate_opens_not_at_the_next_tick(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 2}) as fleet:
        await fleet.begin(2)
        shut = await fleet.store.run(BackOff(key="codex", duration=1500, reason="the provider asked for it"))
        await fleet.store.run(Submit(workspace="gate/t1", agent="codex", task="0"))
        await fleet.becomes("gate/t1", "completed", deadline=10)
        started = marks.read(fleet.marks)[0].ns // 1_000_000
        assert started >= shut.now  # the same machine's clock


@pytest.mark.reference(19, "W13")
async def test_killing_ends_the_tree_and_says_who_asked(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 2}) as fleet:
        await fleet.begin(1)
        await fleet.store.run(Submit(workspace="kill/t1", agent="codex", task="600"))
        await fleet.store.run(Submit(workspace="kill/t2", agent="codex", task="600"))
        await wait_until(lambda: marks.read(fleet.marks), "the agent runs")
        answer = await fleet.store.run(Kill(agent="codex", by="test", reason="enough"))
        assert answer.running == ("kill/t1",)
        assert answer.cursor
        cleared = await fleet.store.run(Kill(agent="codex", by="test", reason="enough", cursor=answer.cursor))
        assert cleared.cleared == 1
        record = await fleet.becomes("kill/t1", "failed")
        assert record.verdict == "killed"
        assert (await fleet.record("kill/t2")).question == "killed by test: enough"


@pytest.mark.reference(7, "W29")
async def test_quiet_lets_what_runs_end_and_leaves_nothing_of_the_host(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 2}) as fleet:
        await fleet.begin(1)
        for at in (1, 2):
            await fleet.store.run(Submit(workspace=f"quiet/t{at}", agent="codex", task="0.5"))
        await wait_until(lambda: marks.read(fleet.marks), "the first runs")
        fleet.signal("h1")
        assert await fleet.ended("h1") == 0
        assert (await fleet.record("quiet/t1")).status == "completed"
        assert (await fleet.record("quiet/t2")).status == "queued"
        assert (await fleet.status()).hosts == 0


async def test_a_second_signal_ends_what_runs(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 2}, kill_grace="1s") as fleet:
        await fleet.begin(1)
        await fleet.store.run(Submit(workspace="stop/t1", agent="codex", task="600"))
        await wait_until(lambda: marks.read(fleet.marks), "the agent runs")
        fleet.signal("h1")
        await wait_until(lambda: "quiet" in fleet.said("h1"), "the worker is quiet")
        fleet.signal("h1")
        assert await fleet.ended("h1") == 0
        record = await fleet.record("stop/t1")
        assert (record.status, record.verdict) == ("failed", "stopped")


async def test_a_host_whose_directory_is_gone_takes_no_work(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 1}) as fleet:
        await fleet.begin(1)
        fleet.root.rename(tmp_path / "elsewhere")
        await fleet.store.run(Submit(workspace="gone/t1", agent="codex", task="0"))
        await wait_until(lambda: "takes no work" in fleet.said("h1"), "the worker says that it can not")
        assert (await fleet.record("gone/t1")).status == "queued"
        (tmp_path / "elsewhere").rename(fleet.root)
        await fleet.becomes("gone/t1", "completed")


async def test_a_worker_under_the_name_of_a_push_host_asks_for_its_work(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 1}) as fleet:
        await fleet.store.run(Renew(host="h1", incarnation="svc", pools=["gemini"], slots=1, mode="push"))
        fleet.serve("r1")
        fleet.work("h1", 1)
        await fleet.store.run(Submit(workspace="mine/t1", agent="codex", task="0"))
        assert (await fleet.becomes("mine/t1", "completed", deadline=30)).mode == "pull"


async def test_a_second_worker_of_the_same_name_is_refused_and_the_first_goes_on(
    server_url: str, tmp_path: Path
) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 1}) as fleet:
        await fleet.begin(1)
        first = fleet.processes["h1"]
        fleet.work("h1", 1)
        assert await fleet.ended("h1") == 1
        assert f"another worker runs as host h1 here (pid {first.pid})" in fleet.said("h1")
        fleet.processes["h1"] = first
        await fleet.store.run(Submit(workspace="same/t1", agent="codex", task="0"))
        await fleet.becomes("same/t1", "completed")
