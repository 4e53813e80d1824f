"""What a run leaves on the disk: the reference runner can read it, and no state of the disk ends a run."""

import json
import logging
import os
import re
from pathlib import Path
from typing import Any

import pytest

from coordinator.models import Grant
from coordinator.operations.complete import Ending
from workers.hydrate import look
from workers.journal import Journal
from workers.run import Exit
from workers.workspace import Workspace

GRANT = Grant(workspace="core/x/t", token=9, ttl=1, agent="codex:big", task="fix", repo="x", org="core", branch="b")
EXIT = Exit(0, None, "exited", 1, 2)
ENDED = Ending(workspace="core/x/t", token=9, status="blocked", question="which?")


def journal(root: Path) -> tuple[Journal, Workspace]:
    workspace = Workspace(root, GRANT.workspace)
    workspace.path.mkdir(parents=True, exist_ok=True)
    return Journal(root), workspace


def lines(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "events.jsonl").read_text().splitlines()]


@pytest.mark.reference(70, 75)
def test_a_start_and_an_ending_are_a_line_each(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"type": "agent_started"}\n')
    told, workspace = journal(tmp_path)
    told.started(GRANT, workspace, 5)
    Journal(tmp_path).ended(workspace, ENDED, EXIT)  # by a worker that adopted it
    first, *ours = lines(tmp_path)
    assert first == {"type": "agent_started"}
    for line in ours:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    assert ours == [
        {"type": "agent_started", "agent": "codex:big", "workspace": "core/x/t", "status": "running"},
        {"type": "agent_completed", "agent": "codex:big", "workspace": "core/x/t", "status": "blocked"},
    ]


@pytest.mark.reference(48, "T33", "T35", "T81", "T83", "W9", "W17")
def test_every_field_of_the_file_survives_a_run_in_types_the_reference_runner_reads(tmp_path: Path) -> None:
    told, workspace = journal(tmp_path)
    kept = {"issue": 7, "process_id": "p-1", "runtime": "docker", "pr_url": "https://x/1", "new": [1]}
    before = {**kept, "status": "queued", "agent": "claude", "started_at": "0001-01-01T00:00:00Z", "runs": 2}
    (workspace.path / "status.json").write_text(json.dumps(before))
    told.started(GRANT, workspace, 4242)
    said = json.loads((workspace.path / "status.json").read_text())
    times = {said.pop("started_at"), said.pop("updated_at")}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times)
    assert said == {
        **kept, "status": "running", "agent": "codex:big", "task": "fix", "repo": "x", "org": "core", "branch": "b",
        "pid": 4242, "runs": 3, "token": 9,
    }  # fmt: skip
    told.ended(workspace, ENDED, EXIT)
    said = json.loads((workspace.path / "status.json").read_text())
    assert (said["status"], said["question"], said["token"], said["issue"], "pid" in said) == (
        "blocked", "which?", 9, 7, False,
    )  # fmt: skip


@pytest.mark.parametrize("runs", [True, False])
def test_the_file_of_a_newer_run_of_another_host_is_left_alone_and_nobody_is_believed_to_be_one(
    tmp_path: Path, *, runs: bool
) -> None:
    told, workspace = journal(tmp_path)
    told.started(GRANT, workspace, 5)
    told.started(GRANT.model_copy(update={"token": 11}), workspace, 6)  # or the agent wrote this number itself
    (home := tmp_path / ".hosts/h2/runs").mkdir(parents=True)
    (home / f"{11 if runs else 12}.run").touch()
    told.ended(workspace, ENDED, EXIT)
    assert workspace.read()["status"] == ("running" if runs else "blocked")
    assert len(lines(tmp_path)) == (2 if runs else 3)


def test_a_workspace_in_a_directory_of_another_name_says_whose_it_is(tmp_path: Path) -> None:
    told, workspace = journal(tmp_path)
    told.started(GRANT.model_copy(update={"workspace": "other", "dir": "core/x/t"}), workspace, 5)
    assert workspace.read()["workspace"] == "other"
    assert look(tmp_path)[:3] == (1, [], [])  # it is no second one
    told.started(GRANT, workspace, 5)
    assert "workspace" not in workspace.read()
    assert len(look(tmp_path).said) == 1


@pytest.mark.parametrize("runs", ["3", None, [1], -1, 10**400, True])
def test_a_count_of_runs_that_is_none_starts_anew(tmp_path: Path, runs: Any) -> None:
    told, workspace = journal(tmp_path)
    (workspace.path / "status.json").write_text(json.dumps({"status": "queued", "runs": runs}))
    told.started(GRANT, workspace, 5)
    assert workspace.read()["runs"] in (1, 2)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.mkdir()


def _link(path: Path) -> None:
    path.symlink_to(path.parent / "elsewhere")


def _full(path: Path) -> None:
    path.symlink_to("/dev/full")


@pytest.mark.parametrize("make", [_pipe, _directory, _link, _full])
def test_what_stands_in_the_place_of_the_file_ends_no_run_and_is_said_once(
    tmp_path: Path, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path / "events.jsonl")
    told, workspace = journal(tmp_path)
    with caplog.at_level(logging.WARNING):
        told.started(GRANT, workspace, 5)
        told.ended(workspace, ENDED, EXIT)
    assert len([one for one in caplog.messages if "events.jsonl" in one]) == 1
    assert workspace.read()["status"] == "blocked"
    assert not (tmp_path / "elsewhere").exists()


def test_a_line_that_did_not_fit_spoils_no_later_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, workspace = journal(tmp_path)
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:10]))  # a disk with ten bytes left
    told.started(GRANT, workspace, 5)
    monkeypatch.undo()
    told.ended(workspace, ENDED, EXIT)
    torn, whole = (tmp_path / "events.jsonl").read_text().splitlines()
    assert len(torn) == 10
    assert json.loads(whole)["type"] == "agent_completed"
