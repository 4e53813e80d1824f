"""A worker that dies and comes back to what it can not read, or under a name that is taken."""

from pathlib import Path

import pytest

from coordinator.operations import Submit
from tests import marks
from tests.fleet import Fleet
from tests.waiting import wait_until

only_redis = pytest.mark.parametrize("server_kind", ["redis"], indirect=True)


@only_redis
async def test_a_slip_that_names_no_run_is_set_aside(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 1}) as fleet:
        runs = fleet.root / ".hosts/h1/runs"
        runs.mkdir(parents=True)
        (runs / "999.run").touch()
        await fleet.begin(1)
        await fleet.store.run(Submit(workspace="torn/t1", agent="codex", task="0"))
        await fleet.becomes("torn/t1", "completed")
        assert (runs / "999.torn").exists()


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
