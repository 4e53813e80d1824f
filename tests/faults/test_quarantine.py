"""What can not be proved dead: it is named, nothing runs in its place until a person says so, and all others go on."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from coordinator.operations import Submit
from coordinator.operations.submit import Queued
from tests.cli import COMMAND
from tests.fleet import WORK, Fleet
from tests.guarding import dead
from tests.waiting import wait_until

#: Starts itself anew without the right to end what other users own (PR_CAPBSET_DROP, CAP_KILL).
WEAK = f"""
import ctypes, os, sys
assert ctypes.CDLL(None).prctl(24, 5, 0, 0, 0) == 0
os.execv(sys.executable, [sys.executable, "-c", {WORK!r}, *sys.argv[1:]])
"""
#: The first run leaves a child that has become another user; the next one finds that it is not the first.
AGENT = """
import os, pathlib, time
first = not pathlib.Path("child").exists()
if first and not (child := os.fork()):
    os.setsid()
    os.setuid(65534)
    time.sleep(600)
if first:
    pathlib.Path("new").write_text(str(child))
    os.rename("new", "child")
    time.sleep(600)
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start what it may not end")


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Path]:
    """Where the agent says what it leaves; that is ended when the test is."""
    path = tmp_path / "workspaces/a/1/child"
    yield path
    if path.exists() and psutil.pid_exists(pid := int(path.read_text())):
        psutil.Process(pid).kill()


def coordinator(fleet: Fleet, *words: str) -> Any:
    """What a person reads."""
    environ = {**os.environ, "REDIS_URL": fleet.url, "DISPATCH_NAMESPACE": "dispatch"}
    said = subprocess.run([*COMMAND, *words, "--json"], env=environ, capture_output=True, text=True, check=False)
    return json.loads(said.stdout)


@needs_root
@pytest.mark.parametrize("server_kind", ["redis"], indirect=True)
async def test_a_run_that_can_not_be_ended_is_blocked_and_named_until_a_person_says_retry(
    server_url: str, tmp_path: Path, child: Path
) -> None:
    runners: dict[str, object] = {
        "codex": {"command": [sys.executable, "-IS", "-c", AGENT], "stdin": "none"},
        "shell": {"command": ["true"], "stdin": "none"},
    }
    async with Fleet(server_url, tmp_path, {"codex": 1, "shell": 1}, runners, kill_grace=1, beat="500ms") as fleet:
        fleet.serve("r1")
        fleet.work("h1", 2, code=WEAK)
        await fleet.ready(1)
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="x"))
        left = psutil.Process(int(await wait_until(lambda: child.exists() and child.read_text(), "it leaves a child")))
        await wait_until(lambda: left.uids().real == 65534, "the child is another user's")
        waits = await fleet.store.run(Submit(workspace="b/1", agent="codex", task="x"))
        assert isinstance(waits, Queued)
        await asyncio.to_thread((tmp_path / "workspaces/b/1").mkdir, parents=True)
        (tmp_path / "workspaces/b/1/child").write_text("0")

        told = await asyncio.to_thread(coordinator, fleet, "kill", "a/1")
        assert told["ended"] == {"a/1": "blocked"}
        named = {one["pid"]: one["by"] for one in told["receipts"]["a/1"]["ended"]}
        assert named[left.pid] == "left"
        assert list(named.values()).count("left") == 1
        assert not dead(left)

        record = await fleet.record("a/1")
        assert (record.status, record.verdict) == ("blocked", "lost")
        assert (record.question or "").startswith(f"no proof of death: these could not be ended: {left.pid} ")
        why = await asyncio.to_thread(coordinator, fleet, "why", "a/1")
        assert str(left.pid) in json.dumps(why)
        assert json.loads((fleet.root / "a/1/status.json").read_text())["status"] == "blocked"
        assert (await fleet.becomes("b/1", "completed")).ran_on == "h1"  # its slot is free
        again = await fleet.store.run(Submit(workspace="a/1", agent="codex"))
        assert again.outcome == "already"

        fleet.kill("h1")
        fleet.work("h1", 2, code=WEAK)  # neither a new worker nor what it finds on the disk starts it
        await fleet.store.run(Submit(workspace="c/1", agent="shell", task="x"))
        await fleet.becomes("c/1", "completed", deadline=20)
        assert ((await fleet.record("a/1")).status, (await fleet.record("a/1")).runs) == ("blocked", 1)

        left.kill()
        assert (await asyncio.to_thread(coordinator, fleet, "retry", "a/1"))["count"] == 1
        record = await fleet.becomes("a/1", "completed")
        assert (record.runs, record.question) == (2, None)
