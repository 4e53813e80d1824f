"""Worker, fork server and guards are killed at once: nothing guards what their agents started in other sessions."""

import contextlib
import sys
from pathlib import Path

import psutil
import pytest

from coordinator.operations import Submit
from tests.fleet import COORDINATOR, WORK, Fleet
from tests.guarding import AGENT, Host
from tests.waiting import wait_until
from workers.slip import MARK
from workers.strangers import carriers

TREE = ["daemon=ignore=INT,TERM+mark=marks:daemon+sleep=60000", "mark=marks:agent", "sleep=60000"]


@pytest.mark.parametrize(
    ("root", "code", "command"),
    [("a directory", WORK, "run"), ("a link to one", WORK, "run"), ("a directory", COORDINATOR, "up")],
)
@pytest.mark.parametrize("server_kind", ["redis"], indirect=True)
async def test_the_next_worker_ends_what_is_left_before_it_looks_for_a_server(
    server_url: str, tmp_path: Path, root: str, code: str, command: str
) -> None:
    runner: dict[str, object] = {"command": [sys.executable, "-IS", str(AGENT), *TREE], "stdin": "none"}
    async with Fleet(server_url, tmp_path, {"codex": 1}, {"codex": runner}) as fleet:
        if root == "a link to one":
            (tmp_path / "elsewhere").mkdir()
            fleet.root.symlink_to("elsewhere")
        real = fleet.root.resolve()
        await fleet.begin(1)
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="x"))
        marks = fleet.root / "a/1/marks"
        await wait_until(lambda: marks.exists() and marks.read_text().count("\n") == 2, "agent and daemon are there")
        overseers = Host(tmp_path, real / ".hosts/h1/runs").relatives()
        fleet.kill("h1")
        for process in overseers:
            with contextlib.suppress(psutil.NoSuchProcess):  # one that only waited goes with the fork server
                process.kill()

        def left() -> list[int]:
            return [pid for pid, env in carriers(MARK).items() if env[MARK].startswith(str(real))]

        await wait_until(lambda: len(left()) == 1, "the agent ended with its guard, the daemon did not")
        fleet.work("h1", 1, f"unix://{tmp_path}/nowhere", code, command)
        assert await fleet.ended("h1") == 3
        assert left() == []
