"""The directory of a workspace: inside the root, status.json whole, names that git takes as branches."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import WorkspaceError
from coordinator.models import Grant
from coordinator.operations import Complete
from coordinator.words import WORKSPACE
from tests.trees import put
from workers.source import branch_for
from workers.tree import walk
from workers.workspace import Workspace, rfc3339


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc", "."])
def test_a_path_out_of_the_root_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WorkspaceError, match="leaves the workspace root"):
        Workspace(tmp_path, "a", name)


@pytest.mark.parametrize("name", [".hosts/h1/runs", ".coordinator/redis"])
def test_the_servers_and_the_hosts_own_directories_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WorkspaceError, match="leaves the workspace root"):
        Workspace(tmp_path, "a", name)


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(WorkspaceError, match="leaves the workspace root"):
        Workspace(tmp_path, "a")


def test_a_workspace_inside_another_is_refused(tmp_path: Path) -> None:
    outer = Workspace(tmp_path, "a/b")
    outer.meta.mkdir(parents=True)
    outer.write({"status": "completed"})
    with pytest.raises(WorkspaceError, match="lies inside the workspace"):
        Workspace(tmp_path, "a/b/repo/c")
    Workspace(tmp_path, "a/c")


def test_a_file_between_the_layouts_makes_no_workspace_of_what_is_around_others(tmp_path: Path) -> None:
    put(tmp_path, "core/go-io", "completed")
    put(tmp_path, "core/go-io/task-5", "queued")
    assert walk(tmp_path).names == ("core/go-io/task-5",)
    Workspace(tmp_path, "core/go-io/task-5")
    for name in ("one", "a/b/three"):
        put(tmp_path, name, "completed")
        with pytest.raises(WorkspaceError, match="lies inside the workspace"):
            Workspace(tmp_path, f"{name}/x")


def test_a_directory_that_was_named_and_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    grant = Grant(workspace="a", token=7, ttl=5, agent="codex", attempt=1, dir="b")
    with pytest.raises(WorkspaceError, match="is gone"):
        Workspace(tmp_path, "a", "b").prepare(grant)
    Workspace(tmp_path, "a", "c").prepare(grant.model_copy(update={"dir": "c", "source": "/src"}))
    (tmp_path / "b").mkdir()
    Workspace(tmp_path, "a", "b").prepare(grant)
    Workspace(tmp_path, "d").prepare(grant.model_copy(update={"dir": None}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c", "d"]


@pytest.mark.reference(48, "W17", "T82")
def test_fields_of_others_stay_and_a_none_goes(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "a/b")
    workspace.path.mkdir(parents=True)
    (workspace.path / "status.json").write_text('{"issue": 5, "status": "queued", "pid": 7}')
    workspace.write({"status": "running", "pid": None})
    found = json.loads((workspace.path / "status.json").read_text())
    assert (found["issue"], found["status"]) == (5, "running")
    assert "pid" not in found
    assert found["updated_at"].endswith("Z")
    assert [path.name for path in workspace.path.iterdir()] == ["status.json"]


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff\xff", b"null", b"0" * 5_000_000])
def test_a_status_that_is_none_reads_as_empty_and_is_replaced(tmp_path: Path, text: bytes) -> None:
    workspace = Workspace(tmp_path, "a")
    workspace.path.mkdir()
    (workspace.path / "status.json").write_bytes(text)
    assert workspace.read() == {}
    workspace.write({"status": "failed"})
    assert workspace.read()["status"] == "failed"


def test_a_new_run_puts_the_last_log_aside_and_forgets_its_question(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "a")
    grant = Grant(workspace="a", token=9, ttl=1, agent="codex:gpt-5.4")
    workspace.prepare(grant)
    workspace.log(grant.agent).write_text("first")
    (workspace.path / "BLOCKED.md").write_text(" which port?\n")
    workspace.timed_out("Agent timed out after 60m")
    assert (workspace.meta / "timeout.reason").read_text() == "Agent timed out after 60m\n"
    assert workspace.question() == "which port?"
    workspace.prepare(grant)
    workspace.tell(None)
    assert workspace.question() is None
    assert [path.name for path in workspace.meta.iterdir()] == ["agent-codex.before-9.log"]


def test_an_answer_lies_where_the_agent_works_and_stays_until_the_next(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "a")
    workspace.repo.mkdir(parents=True)
    for place in (workspace.path, workspace.repo):  # one that the checkout brought along
        (place / "BLOCKED.md").write_text("which port?")
    workspace.tell("port 8080\r\n")
    assert (workspace.repo / "ANSWER.md").read_bytes() == b"port 8080\r\n"
    workspace.tell(None)
    assert sorted(path.name for path in workspace.path.rglob("*")) == ["ANSWER.md", "repo"]
    workspace.tell("")
    assert (workspace.repo / "ANSWER.md").read_text() == ""


def test_without_a_checkout_the_answer_lies_in_the_workspace_itself(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "a")
    workspace.path.mkdir()
    workspace.tell("port 8080")
    assert [path.name for path in workspace.path.iterdir()] == ["ANSWER.md"]


@pytest.mark.parametrize("name", ["ANSWER.md", "BLOCKED.md"])
def test_what_can_not_be_written_is_said_and_nothing_is_left_of_the_try(tmp_path: Path, name: str) -> None:
    workspace = Workspace(tmp_path, "a")
    (workspace.path / name / "x").mkdir(parents=True)
    with pytest.raises(WorkspaceError, match="ANSWER.md" if name == "ANSWER.md" else "the old question of a"):
        workspace.tell("yes")
    assert [path.name for path in workspace.path.iterdir()] == [name]


def test_a_log_that_is_no_file_says_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "a")
    workspace.meta.mkdir(parents=True)
    assert workspace.said("codex") == ""
    os.mkfifo(workspace.log("codex"))  # to open it would wait for ever
    assert workspace.said("codex") == ""


def test_a_question_that_is_no_file_is_none_and_holds_nobody_up(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "a")
    workspace.repo.mkdir(parents=True)
    os.mkfifo(workspace.repo / "BLOCKED.md")  # to open it would wait for ever
    (workspace.path / "BLOCKED.md").symlink_to("/dev/zero")  # to read all of it too
    assert workspace.question() is None
    workspace.tell("yes")
    (workspace.path / "BLOCKED.md").symlink_to("repo/ANSWER.md")
    assert workspace.question() == "yes"


@pytest.mark.parametrize(
    "text", [b"x" * 400_000, "é".encode() * 200_000, b"x" + "\U0001f600".encode() * 20_000, b"\xff" * 70_000]
)
def test_of_a_long_question_its_beginning_travels(tmp_path: Path, text: bytes) -> None:
    workspace = Workspace(tmp_path, "a")
    workspace.path.mkdir()
    (workspace.path / "BLOCKED.md").write_bytes(text)
    os.truncate(workspace.path / "BLOCKED.md", 1 << 40)  # a hole takes no disk, and no memory holds it
    question = workspace.question()
    assert question
    assert text.decode("utf-8", "replace").startswith(question)
    assert 59_990 < len(question.encode()) <= 60_000
    Complete(workspace="a", status="blocked", question=question)


@given(st.from_regex(WORKSPACE.pattern, fullmatch=True).filter(WORKSPACE.accepts))
def test_every_workspace_has_a_branch_that_git_takes(name: str) -> None:
    branch = branch_for(name)
    said = subprocess.run(["git", "check-ref-format", "--branch", branch], capture_output=True, check=False)
    assert said.returncode == 0, branch


def test_moments_are_utc_to_the_millisecond() -> None:
    assert rfc3339(1_720_000_000_123) == "2024-07-03T09:46:40.123Z"
