"""A worker that begins as something else happens: what runs is followed once, and nothing is started beside it."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from coordinator.config.runners import Runner
from coordinator.operations import Claim, Hosts, Query, Renew, Restore, Submit, Thaw
from coordinator.operations._operation import Operation
from coordinator.store import Store
from tests import marks
from tests.fleet import ROOT, WORK, Fleet
from tests.forgetful import Forgetful
from tests.refusals import too_few_replicas
from tests.waiting import wait_until
from workers.clock import boot_ms
from workers.guarded import Guard
from workers.guards import Guards
from workers.host import machine
from workers.run import Run
from workers.start import home_of
from workers.worker import Worker

IMPATIENT = f"import workers.worker as worker; worker._TELL_WITHIN = 1.0; {WORK}"
only_redis = pytest.mark.parametrize("server_kind", ["redis"], indirect=True)


@asynccontextmanager
async def working(store: Store, root: Path, *command: str) -> AsyncIterator[Worker]:
    """A worker of two slots; afterwards it has left."""
    worker = Worker(store, root, {"codex": Runner(command=command, stdin="none")}, host="h1", slots=2, labels=[])
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.quiet()
        await task


async def granted_to_an_earlier_worker(store: Store, root: Path, workspace: str) -> int:
    """The token of a grant that a worker of this host had asked for before it died."""
    await store.run(Thaw())
    beat = {"host": "h1", "incarnation": "old", "machine": machine(root), "slots": 2, "mode": "pull"}
    await store.run(Renew(**beat, pools=["codex"], labels=[], held=[], epoch=0))
    await store.run(Submit(workspace=workspace, agent="codex", task="x"))
    return (await store.run(Claim(host="h1", incarnation="old", seq=1, count=1))).grants[0].token


async def started_by_an_earlier_worker(root: Path, token: int, workspace: str, *argv: str) -> Guard:
    """The guard that it left."""
    (root / workspace).mkdir(parents=True)
    run = Run(token, workspace, argv, {"PATH": os.environ["PATH"]}, root, root / "log", 300)
    async with Guards(home_of(root, "h1") / "runs") as guards:
        return await guards.start(run, boot_ms() + 60_000)


def told(root: Path) -> list[str]:
    """The types of what the root's journal tells."""
    lines = (root / "events.jsonl").read_text().splitlines() if (root / "events.jsonl").exists() else []
    return [json.loads(line)["type"] for line in lines]


class Slow(Store):
    """A server that is slow to hear what was restored: until an agent has started."""

    place: Path

    async def run(self, operation: Operation[Any]) -> Any:
        if isinstance(operation, Restore):
            await wait_until(lambda: told(self.place), "an agent has started")
        return await super().run(operation)


@only_redis
async def test_a_grant_that_is_heard_of_as_the_host_registers_is_followed_once(server_url: str, tmp_path: Path) -> None:
    async with Slow.connect(server_url, ROOT) as store:
        store.place = tmp_path
        await granted_to_an_earlier_worker(store, tmp_path, "a/1")

        async def has_ended() -> bool:
            return bool((await store.run(Query(workspace="a/1"))).workspaces[0].status == "completed")

        async with working(store, tmp_path, "sleep", "0.3"):
            await wait_until(has_ended, "it has completed")
        assert told(tmp_path) == ["agent_started", "agent_completed"]


@only_redis
async def test_what_runs_here_unguarded_is_not_started_again_as_an_adopted_run_is_told_of(
    server_url: str, tmp_path: Path
) -> None:
    async with Store.connect(server_url, ROOT) as store:
        token = await granted_to_an_earlier_worker(store, tmp_path, "ended")
        await (await started_by_an_earlier_worker(tmp_path, token, "ended", "true")).ended()
        (tmp_path / "lives").mkdir()
        environ = {**os.environ, "DISPATCH_WORKSPACE": "lives"}
        agent = await asyncio.create_subprocess_exec("sleep", "600", env=environ)
        try:
            (tmp_path / "lives/status.json").write_text(
                json.dumps({"status": "running", "agent": "codex", "pid": agent.pid})
            )
            await store.run(Submit(workspace="lives", agent="codex", task="x"))

            async def is_known() -> bool:
                found = (await store.run(Query(workspace="lives"))).workspaces[0]
                assert found.mode != "pull", "it was granted"
                return (found.status, found.mode, found.pid) == ("running", "asker", agent.pid)

            async with working(store, tmp_path, "true"):
                await wait_until(is_known, "it is known to run")
        finally:
            agent.kill()
            await agent.wait()


@only_redis
async def test_a_worker_that_is_told_to_end_as_it_begins_leaves_nothing_that_runs(
    server_url: str, tmp_path: Path
) -> None:
    async with Store.connect(server_url, ROOT) as store:
        token = await granted_to_an_earlier_worker(store, tmp_path, "a/1")
        until_go = ("sh", "-c", "while [ ! -e go ]; do sleep 0.02; done")
        await started_by_an_earlier_worker(tmp_path, token, "a/1", *until_go)
        runners = {"codex": Runner(command=("true",), stdin="none")}
        worker = Worker(store, tmp_path, runners, host="h1", slots=2, labels=[])
        worker.quiet()
        leaving = asyncio.create_task(worker.run())

        async def is_told() -> bool:
            return leaving.done() or (await store.run(Hosts())).hosts[0].slots == 0

        await wait_until(is_told, "it has told of what runs")
        (tmp_path / "go").touch()
        await leaving
        assert (await store.run(Query(workspace="a/1"))).workspaces[0].status == "completed"


async def test_a_worker_that_can_not_register_ends_when_it_is_told_to(server: Forgetful, tmp_path: Path) -> None:
    fleet = Fleet(server.url, tmp_path, {"codex": 1})
    async with fleet, Redis.from_url(server.url) as redis, too_few_replicas(redis):
        fleet.work("h1", 1)
        await wait_until(lambda: "register waits" in fleet.said("h1"), "it waits")
        fleet.signal("h1")
        assert await fleet.ended("h1") == 0


async def begin_impatiently(fleet: Fleet) -> None:
    fleet.serve("r1")
    fleet.work("h1", 1, code=IMPATIENT)
    await fleet.ready(1)


async def told_twice_to_end(fleet: Fleet) -> None:
    fleet.signal("h1")
    await wait_until(lambda: "quiet: " in fleet.said("h1"), "it has heard the first signal")
    fleet.signal("h1")


async def test_a_stopped_worker_leaves_endings_that_it_can_not_tell_to_the_next(
    server: Forgetful, tmp_path: Path
) -> None:
    async with Fleet(server.url, tmp_path, {"codex": 1}, lease_ttl="60s", kill_grace="1s") as fleet:
        await begin_impatiently(fleet)
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="600"))
        await wait_until(lambda: marks.read(fleet.marks), "the agent runs")
        server.kill()
        await told_twice_to_end(fleet)
        assert await fleet.ended("h1") == 0
        server.start()
        fleet.work("h1", 1)
        record = await fleet.becomes("a/1", "failed")
        assert (record.verdict, record.attempt) == ("stopped", 1)


async def test_a_worker_that_adopted_and_can_not_register_is_stopped_by_the_second_signal(
    server: Forgetful, tmp_path: Path
) -> None:
    async with Fleet(server.url, tmp_path, {"codex": 1}, lease_ttl="60s", kill_grace="1s") as fleet:
        await begin_impatiently(fleet)
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="600"))
        await wait_until(lambda: marks.read(fleet.marks), "the agent runs")
        fleet.kill("h1")
        async with Redis.from_url(server.url) as redis, too_few_replicas(redis):
            fleet.work("h1", 1, code=IMPATIENT)
            await wait_until(lambda: "register waits" in fleet.said("h1"), "it waits")
            await told_twice_to_end(fleet)
            assert await fleet.ended("h1") == 0
        fleet.work("h1", 1)
        assert (await fleet.becomes("a/1", "failed")).verdict == "stopped"
