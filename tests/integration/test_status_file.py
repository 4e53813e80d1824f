"""status.json of a run on a real worker: who runs it while it runs, how it ended when it has."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from coordinator.operations import Retry
from tests.fleet import Fleet
from tests.waiting import wait_until

WAITS: dict[str, object] = {"codex": {"command": ["sh", "-c", "pwd > here; until [ -e end ]; do sleep 0.02; done"]}}


@pytest.mark.reference(48, 80, "W10", "T33", "T35", "T81", "T83", "T93")
async def test_a_queued_task_is_started_once_and_its_file_says_by_whom(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 1}, WAITS) as fleet:
        workspace = fleet.root / "core/go-io/task-5"
        workspace.mkdir(parents=True)
        queued = {"status": "queued", "agent": "codex:gpt-5.4", "repo": "go-io", "org": "core", "issue": 5, "runs": 0}
        (workspace / "status.json").write_text(json.dumps(queued))

        def on_disk() -> dict[str, Any]:
            found: dict[str, Any] = json.loads((workspace / "status.json").read_text())
            return found

        await fleet.begin(2)
        await wait_until(lambda: (workspace / "here").exists() and on_disk()["status"] == "running", "it runs")
        said = on_disk()
        assert (said["agent"], said["repo"], said["runs"], said["issue"]) == ("codex:gpt-5.4", "go-io", 1, 5)
        assert psutil.pid_exists(said["pid"])
        assert (workspace / "here").read_text() == f"{workspace}\n"
        (workspace / "end").touch()
        await fleet.becomes("core/go-io/task-5", "completed")
        done = on_disk()
        assert (done["status"], "pid" in done, done["runs"]) == ("completed", False, 1)
        await fleet.store.run(Retry(workspace="core/go-io/task-5"))  # it finds its end at once
        await wait_until(lambda: (on_disk()["status"], on_disk()["runs"]) == ("completed", 2), "it ran again")
        assert datetime.fromisoformat(done["updated_at"]) >= datetime.fromisoformat(said["updated_at"])
