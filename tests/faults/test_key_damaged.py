"""A key that somebody damaged by hand as agents run: what needs it waits, and nothing else of its host does."""

import signal
from pathlib import Path

import pytest
from redis.asyncio import Redis

from coordinator.operations import Kill, Submit
from tests import record
from tests.fleet import Fleet
from tests.machine import Machine
from tests.waiting import wait_until

SHORT: dict[str, object] = {"lease_ttl": "20s", "beat": "200ms", "kill_grace": "2s"}


@pytest.mark.parametrize("server_kind", ["redis"], indirect=True)
async def test_an_ending_that_can_not_be_recorded_holds_up_no_other(server_url: str, tmp_path: Path) -> None:
    names = ["a/damaged", "a/good", "a/waits"]
    async with Fleet(server_url, tmp_path, {"codex": 2}, None, **SHORT) as fleet, Redis.from_url(server_url) as redis:
        await fleet.begin(3)
        for name, seconds in zip(names, ("0.5", "1", "0"), strict=True):
            await fleet.store.run(Submit(workspace=name, agent="codex", task=seconds))
        await wait_until(lambda: len(record.written(fleet.marks)) == 2, "two run")
        key = "{dispatch}:workspace:a/damaged"
        await redis.rename(key, "kept")
        await redis.set(key, "?")
        await wait_until(lambda: f"ask waits: the key {key} is a string" in fleet.said("h1"), "one ending waits")
        for name in names[1:]:
            await fleet.becomes(name, "completed")
        assert "beat waits" not in fleet.said("h1")
        await redis.rename("kept", key)
        await fleet.becomes("a/damaged", "completed")
        assert record.broken(record.written(fleet.marks), {"codex": 2}, names) == []


@pytest.mark.parametrize("server_kind", ["redis"], indirect=True)
async def test_an_agent_that_stood_still_goes_on_whatever_key_it_does_not_need_is_damaged(
    server_url: str, tmp_path: Path
) -> None:
    short: dict[str, object] = {"lease_ttl": "3s", "beat": "400ms", "kill_grace": "600ms"}
    async with Fleet(server_url, tmp_path, {"codex": 1}, None, **short) as fleet, Redis.from_url(server_url) as redis:
        await fleet.begin(1)
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="600"))
        await wait_until(lambda: record.written(fleet.marks), "it runs")
        fleet.kill("r1")  # so nobody gives the run up
        await redis.set("{dispatch}:summary", "?")
        machine = Machine(fleet.root, "h1", fleet.processes["h1"].pid)
        fleet.signal("h1", signal.SIGSTOP)
        try:
            await wait_until(lambda: machine.doing() == ["stilled"], "it stands still")
        finally:
            fleet.signal("h1", signal.SIGCONT)
        await wait_until(lambda: machine.doing() == ["running"], "it goes on")
        assert "beat waits" not in fleet.said("h1")
        await fleet.store.run(Kill(workspace="a/1"))
        await fleet.becomes("a/1", "failed")
