"""A host that is short of something takes no work, says why, and goes on; and many runs leave nothing behind."""

import os
from pathlib import Path

import psutil
import pytest

from coordinator.models import HostView
from coordinator.operations import Hosts, Submit
from tests.fleet import WORK, Fleet
from tests.waiting import wait_until
from workers.forkserver import LOCK

only_redis = pytest.mark.parametrize("server_kind", ["redis"], indirect=True)
RUNS = 200
SLOTS = 60


async def _host(fleet: Fleet) -> HostView | None:
    found = (await fleet.store.run(Hosts())).hosts
    return found[0] if found else None


@only_redis
async def test_a_host_without_the_memory_for_an_agent_claims_nothing_says_why_and_lives(
    server_url: str, tmp_path: Path
) -> None:
    runner: dict[str, object] = {"command": ["true"], "memory": "80T"}
    async with Fleet(server_url, tmp_path, {"codex": 2}, {"codex": runner}, beat="200ms") as fleet:
        fleet.serve("r1")
        fleet.work("h1", 2)
        await fleet.heard()
        host = await wait_until(lambda: _host(fleet), "the host is known", 20)
        assert "of memory are free: an agent is reckoned at 83886080 MiB, and 256 MiB stay free" in (host.trouble or "")
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="x"))
        before = host.beat

        async def beats() -> bool:
            seen = await _host(fleet)
            return seen is not None and seen.state == "live" and seen.beat > before + 600

        await wait_until(beats, "the worker goes on")
        assert (await fleet.record("a/1")).status == "queued"


@only_redis
async def test_hundreds_of_runs_leave_no_zombie_no_open_file_and_no_slip(server_url: str, tmp_path: Path) -> None:
    runner: dict[str, object] = {"command": ["true"], "stdin": "none"}
    async with Fleet(server_url, tmp_path, {"codex": 8}, {"codex": runner}) as fleet:
        await fleet.begin(8)
        await _run(fleet, 0, 20)  # all that is opened once is open now
        worker = psutil.Process(fleet.processes["h1"].pid)
        server = psutil.Process(int((fleet.root / ".hosts/h1/runs" / LOCK).read_text()))
        before = await _quiet(worker, server)
        await _run(fleet, 20, 20 + RUNS)
        assert await _quiet(worker, server) - before < 8  # a connection more for each call at once, none for each run
        assert not list((fleet.root / ".hosts/h1/runs").glob("*.run"))


@only_redis
@pytest.mark.parametrize(("hard", "ends"), [(244, None), (80, 1)])
async def test_a_host_that_may_open_few_files_opens_more_or_says_so(
    server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard: int, ends: int | None
) -> None:
    """As many as it needs to check out a source for each slot at once, and then to run them."""
    git, clones = tmp_path / "bin/git", tmp_path / "clones"
    git.parent.mkdir()
    clones.touch()
    git.write_text(f"#!/bin/sh\necho >>{clones}\nuntil test -e {tmp_path}/cloned; do sleep 0.1; done\n")
    git.chmod(0o700)
    monkeypatch.setenv("PATH", f"{git.parent}:{os.environ['PATH']}")
    runner: dict[str, object] = {"command": ["sh", "-c", "until test -e ../../../go; do sleep 0.1; done"]}
    few = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, {hard}))\n"
    async with Fleet(server_url, tmp_path, {"codex": SLOTS}, {"codex": runner}) as fleet:
        fleet.serve("r1")
        fleet.work("h1", SLOTS, code=few + WORK)
        if ends is not None:
            assert await fleet.ended("h1") == ends
            assert "80 files may be open here and --slots 60 needs 244: raise ulimit -n" in fleet.said("h1")
            return
        await fleet.ready(1)
        for number in range(SLOTS):
            await fleet.store.run(Submit(workspace=f"a/{number}", agent="codex", task="x", source="/a/repository"))
        await wait_until(lambda: clones.read_text().count("\n") == SLOTS, "all are checked out at once", 30)
        (tmp_path / "cloned").touch()
        runs = fleet.root / ".hosts/h1/runs"
        await wait_until(lambda: len(list(runs.glob("*.run"))) == SLOTS, "all run at once", 30)
        (fleet.root / "go").touch()
        assert (await fleet.drained(30)).counts["completed"] == SLOTS


async def _run(fleet: Fleet, first: int, end: int) -> None:
    for number in range(first, end):
        await fleet.store.run(Submit(workspace=f"many/t{number}", agent="codex", task="x"))
    await fleet.drained(40)
    assert (await fleet.status()).counts["completed"] == end


async def _quiet(worker: psutil.Process, server: psutil.Process) -> int:
    """Descriptors of worker and fork server, once no guard but the one that waits is there, dead or alive."""
    await wait_until(lambda: len(server.children()) == 1, "all guards are gone and collected")
    assert worker.children() == []
    return worker.num_fds() + server.num_fds() + len(os.listdir(f"/proc/{server.children()[0].pid}/fd"))  # noqa: PTH208
