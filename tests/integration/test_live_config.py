"""A configuration that is applied is followed by workers and replicas that run, without a restart."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import yaml

from coordinator.operations import Hosts, Kill, Submit
from tests.fleet import Fleet
from tests.waiting import wait_until

_SCRIPT = """[ "$1" = stubborn ] && trap '' INT TERM; touch ready; while :; do sleep 1; done"""
_RUNNERS: dict[str, object] = {"slow": {"command": ["sh", "-c", _SCRIPT, "sh", "{task}"]}}


async def _apply(fleet: Fleet, total: int, **times: str) -> None:
    """What an operator types after editing the file."""
    edited = yaml.safe_load(fleet.config.read_text())
    edited["dispatch"] |= times
    edited["concurrency"] = {"slow": total}
    fleet.config.write_text(yaml.safe_dump(edited))
    words = [sys.executable, "-m", "coordinator", "config", "apply", str(fleet.config)]
    environ = {**os.environ, "REDIS_URL": fleet.url, "DISPATCH_NAMESPACE": "dispatch"}
    await asyncio.to_thread(subprocess.run, words, env=environ, check=True, capture_output=True)


async def test_a_worker_that_runs_takes_over_a_new_beat_and_kill_grace_and_starts_what_now_fits(
    server_url: str, tmp_path: Path
) -> None:
    async with Fleet(server_url, tmp_path, {"slow": 1}, _RUNNERS, beat="60s", kill_grace="60s") as fleet:
        await fleet.begin(2)
        await fleet.store.run(Submit(workspace="a", agent="slow", task="mild"))
        await fleet.store.run(Submit(workspace="b", agent="slow", task="stubborn"))
        await fleet.becomes("a", "running")
        assert (await fleet.record("b")).status == "queued"
        await _apply(fleet, 2, beat="200ms", kill_grace="300ms")
        beats: set[int] = set()

        async def many() -> bool:
            (host,) = (await fleet.store.run(Hosts())).hosts
            beats.add(host.beat)
            return len(beats) > 3

        await wait_until(many, "the worker beats faster than once a minute", 20)
        await fleet.becomes("b", "running")
        await wait_until((fleet.root / "b" / "ready").exists, "b ignores signals")
        await fleet.store.run(Kill(workspace="b"))
        assert (await fleet.becomes("b", "failed", deadline=20)).verdict == "killed"
        await fleet.store.run(Kill(workspace="a"))
        await fleet.becomes("a", "failed")
