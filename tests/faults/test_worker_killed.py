"""A worker that dies and comes back to what it can not read, or under a name that is taken."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from coordinator.operations import Kill, Submit
from tests import marks
from tests.fleet import Fleet
from tests.waiting import wait_until

only_redis = pytest.mark.parametrize("server_kind", ["redis"], indirect=True)


@only_redis
async def test_what_is_no_slip_of_a_run_is_set_aside(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 1}) as fleet:
        runs = fleet.root / ".hosts/h1/runs"
        runs.mkdir(parents=True)
        (runs / "1.run").touch()
        (runs / "2.run").mkdir()
        os.mkfifo(runs / "3.run")
        (runs / "4.run").symlink_to("nowhere")
        (runs / "copy of 5.run").touch()
        await fleet.begin(1)
        await fleet.store.run(Submit(workspace="torn/t1", agent="codex", task="0"))
        await fleet.becomes("torn/t1", "completed")
        assert sorted(path.stem for path in runs.glob("*.torn")) == ["1", "2", "3", "4", "copy of 5"]
        await wait_until(lambda: not list(runs.glob("*.run")), "its own slip is gone")


@only_redis
async def test_a_copy_of_a_slip_ends_nothing(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 1}) as fleet:
        await fleet.begin(1)
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="600"))
        await wait_until(lambda: marks.read(fleet.marks), "the agent runs")
        (slip,) = (fleet.root / ".hosts/h1/runs").glob("*.run")
        fleet.kill("h1")
        shutil.copy(slip, slip.with_stem(str(int(slip.stem) + 1)))
        fleet.work("h1", 1)
        await wait_until(lambda: "adopted" in fleet.said("h1"), "the next worker has looked")
        assert fleet.said("h1").count("adopted") == 1
        assert slip.with_name(f"{int(slip.stem) + 1}.torn").exists()
        await fleet.store.run(Kill(workspace="a/1"))
        assert (await fleet.becomes("a/1", "failed")).verdict == "killed"


@only_redis
async def test_an_adopted_run_whose_directory_leads_out_is_ended_and_the_worker_works(
    server_url: str, tmp_path: Path
) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 2}) as fleet:
        await fleet.begin(2)
        await fleet.store.run(Submit(workspace="away/t1", agent="codex", task="600"))
        await wait_until(lambda: marks.read(fleet.marks), "the agent runs")
        fleet.kill("h1")
        (fleet.root / "away/t1").rename(tmp_path / "moved")
        (fleet.root / "away/t1").symlink_to(tmp_path)
        fleet.work("h1", 2)
        record = await fleet.becomes("away/t1", "failed")
        assert "leaves the workspace root" in (record.question or "")
        await fleet.store.run(Submit(workspace="near/t1", agent="codex", task="0"))
        await fleet.becomes("near/t1", "completed")


@only_redis
async def test_the_same_host_name_under_another_root_is_refused(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 2}) as fleet:
        await fleet.begin(2)
        first, root = fleet.processes["h1"], fleet.root
        fleet.root = tmp_path / "elsewhere"
        fleet.work("h1", 2)
        assert await fleet.ended("h1") == 1
        assert "host h1 is a worker elsewhere" in fleet.said("h1")
        fleet.processes["h1"], fleet.root = first, root


@only_redis
async def test_a_worker_whose_lock_was_removed_takes_it_again_unless_another_has_it(
    server_url: str, tmp_path: Path
) -> None:
    """As one removes what looks like the lock of a dead process."""
    async with Fleet(server_url, tmp_path, {"codex": 2}, beat="200ms") as fleet:
        await fleet.begin(2)
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="600"))
        await wait_until(lambda: marks.read(fleet.marks), "the agent runs")
        lock = fleet.root / ".hosts/h1/lock"
        first = fleet.processes.pop("h1")
        lock.unlink()
        await wait_until(lambda: lock.exists() and lock.read_text() == str(first.pid), "it has a lock again")

        first.send_signal(signal.SIGSTOP)
        lock.unlink()
        fleet.processes["first"] = first
        fleet.work("h1", 2)
        await wait_until(lambda: "adopted" in fleet.said("h1"), "the second has adopted its run", 20)
        first.send_signal(signal.SIGCONT)
        second = fleet.processes["h1"].pid
        said = f"beat waits: another worker runs as host h1 here (pid {second})"
        await wait_until(lambda: said in fleet.said("h1"), "the first knows that it is not alone")
        await fleet.store.run(Submit(workspace="b/1", agent="codex", task="0"))
        await fleet.becomes("b/1", "completed")
        assert marks.starts(marks.read(fleet.marks)) == {"a/1": 1, "b/1": 1}
        await fleet.store.run(Kill(all=True))
        first.terminate()
        assert await fleet.ended("first") == 0
