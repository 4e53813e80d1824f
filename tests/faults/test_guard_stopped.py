"""A guard that somebody stops, alone: the worker acts in its place, in time."""

import json
import sys
from pathlib import Path

import psutil
import pytest
from redis.asyncio import Redis

from coordinator.operations import Kill, Submit
from tests.fleet import Fleet
from tests.guarding import AGENT
from tests.waiting import wait_until
from workers.slip import Slip


@pytest.mark.parametrize("server_kind", ["redis"], indirect=True)
async def test_the_worker_stills_the_agent_of_a_stopped_guard_before_its_lease_ends(
    server_url: str, tmp_path: Path, raw: Redis
) -> None:
    runner: dict[str, object] = {"command": [sys.executable, "-IS", str(AGENT), "ticks=ticks"], "stdin": "none"}
    times = {"lease_ttl": "4s", "beat": "1s", "kill_grace": "1s"}
    async with Fleet(server_url, tmp_path, {"codex": 1}, {"codex": runner}, **times) as fleet:
        await fleet.begin(1)
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="x"))
        directory = fleet.root / "a/1"
        await wait_until((directory / "ticks").exists, "the agent works")
        agent = psutil.Process(await wait_until(lambda: _pid(directory), "its pid is written down"))
        guard = agent.parent()
        assert guard
        guard.suspend()
        await raw.client_pause(60_000, all=False)  # no beat is answered
        try:
            with Slip.open(next((fleet.root / ".hosts/h1/runs").glob("*.run"))) as slip:
                await wait_until(lambda: agent.status() == psutil.STATUS_STOPPED, "the agent is stilled")
                await wait_until(lambda: slip.state()[0] == "stilled", "that is written down")
                since = slip.state()[1]
                assert since < (slip.deadline_ms() or 0)
            await wait_until(lambda: guard.status() != psutil.STATUS_STOPPED, "the guard was woken")
        finally:
            await raw.client_unpause()
            guard.resume()
            await fleet.store.run(Kill(all=True))


def _pid(directory: Path) -> int | None:
    status = directory / "status.json"
    found: int | None = json.loads(status.read_text()).get("pid") if status.exists() else None
    return found
