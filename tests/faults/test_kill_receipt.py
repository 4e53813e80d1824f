"""A kill leaves nothing, and says what it found: to the killer, and later to whoever asks, on any machine."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from coordinator.operations import Submit
from tests.cli import COMMAND
from tests.fleet import Fleet
from tests.guarding import AGENT
from tests.waiting import wait_until

STUBBORN = "ignore=INT,TERM,HUP"
TREE = [
    STUBBORN,
    f"child={STUBBORN}+mark=marks:child+sleep=60000",
    f"daemon={STUBBORN}+child={STUBBORN}@mark=marks:grandchild@sleep=60000",
    f"daemon={STUBBORN}+mark=marks:daemon+sleep=60000",
    f"scrubbed={STUBBORN}+mark=marks:scrubbed+sleep=60000",
    "mark=marks:agent",
    "sleep=60000",
]
OTHER_USER = """
import json, os, sys
from workers import processes
pid = int(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
looks = []
def family():
    looks.append(processes.look(pid))
    return [each for each in looks[-1:] if each]
print(json.dumps([processes.end_family(family), len(looks)]))
"""
only_redis = pytest.mark.parametrize("server_kind", ["redis"], indirect=True)


def coordinator(fleet: Fleet, *words: str) -> Any:
    """What the command line answers a person at another machine."""
    environ = {**os.environ, "REDIS_URL": fleet.url, "DISPATCH_NAMESPACE": "dispatch"}
    return json.loads(subprocess.check_output([*COMMAND, *words, "--json"], env=environ))


@only_redis
async def test_a_tree_that_wants_to_live_is_gone_within_ten_seconds_and_named_to_the_last(
    server_url: str, tmp_path: Path
) -> None:
    runner = {"command": [sys.executable, "-IS", str(AGENT), *TREE], "stdin": "none"}
    async with Fleet(server_url, tmp_path, {"codex": 1}, {"codex": runner}, kill_grace=1, beat="500ms") as fleet:
        await fleet.begin(1)
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="x"))
        marks = fleet.root / "a/1/marks"
        await wait_until(lambda: marks.exists() and marks.read_text().count("\n") == 5, "the whole tree is there")
        pids = await wait_until(lambda: tree_of(fleet.root / "a/1"), "its agent is written down")
        assert len(pids) == 5
        killer = asyncio.create_task(asyncio.to_thread(coordinator, fleet, "kill", "a/1"))
        await wait_until(lambda: _asked(fleet), "its end is asked for", 20)
        await wait_until(lambda: not any(map(psutil.pid_exists, pids)), "nothing is left", deadline=10)
        told = await killer
        assert told["ended"] == {"a/1": "failed"}
        receipt = told["receipts"]["a/1"]
        assert {(one["pid"], one["by"]) for one in receipt["ended"]} == {(pid, "KILL") for pid in pids}
        assert all("agent.py" in one["command"] for one in receipt["ended"])
        assert receipt["cpu_ms"] > 0
        assert receipt["peak_memory"] > 0
        (kept,) = (await asyncio.to_thread(coordinator, fleet, "workspaces"))["workspaces"]
        assert (kept["verdict"], kept["receipt"]["ended"]) == ("killed", receipt["ended"])
        assert (await asyncio.to_thread(coordinator, fleet, "retry", "--killed"))["count"] == 1
        assert (await fleet.becomes("a/1", "running")).receipt is None
        await asyncio.to_thread(coordinator, fleet, "kill", "--all", "--yes")


async def _asked(fleet: Fleet) -> bool:
    record = await fleet.record("a/1")
    return record.kill is not None or record.status == "failed"


def tree_of(workspace: Path) -> set[int]:
    """All of a run: it lies below its guard, the parent of the agent."""
    status = workspace / "status.json"
    pid = json.loads(status.read_text()).get("pid") if status.exists() else None
    guard = psutil.Process(pid).parent() if pid else None
    return {each.pid for each in guard.children(recursive=True)} if guard else set()


def test_what_another_user_owns_is_named_as_left_and_not_waited_for() -> None:
    """Root becomes somebody else for it; anybody else is refused the first process of the machine."""
    with subprocess.Popen(["sleep", "60"]) as own:
        try:
            other = own.pid if os.geteuid() == 0 else 1
            argv = [sys.executable, "-c", OTHER_USER, str(other)]
            ((pid, _, how),), looks = json.loads(subprocess.check_output(argv, cwd=AGENT.parents[2]))
            assert (pid, how, own.poll()) == (other, "left", None)
            assert looks < 9  # nobody waits for what takes no signal from us
        finally:
            own.kill()
