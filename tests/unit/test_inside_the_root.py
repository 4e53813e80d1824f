"""Links that an agent leaves behind lead neither our writing nor our reading out of its workspace."""

import os
from pathlib import Path

import pytest

from coordinator.errors import WorkspaceError
from coordinator.models import Grant
from tests.trees import put
from workers.hydrate import look
from workers.run import Run
from workers.source import checkout
from workers.spawn import spawn
from workers.workspace import Workspace

GRANT = Grant(workspace="a", token=9, ttl=1, agent="codex")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the root, with a file that nobody may touch."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("theirs")
    return tmp_path / "outside"


@pytest.fixture
def workspace(tmp_path: Path, outside: Path) -> Workspace:
    made = Workspace(tmp_path / "root", "a")
    made.path.mkdir(parents=True)
    return made


def untouched(outside: Path) -> bool:
    return [path.name for path in outside.iterdir()] == ["secret"] and (outside / "secret").read_text() == "theirs"


@pytest.mark.parametrize("name", ["a", "a/b", "x"])
def test_a_link_in_the_root_that_leads_out_is_no_workspace(tmp_path: Path, outside: Path, name: str) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a").symlink_to(outside)
    with pytest.raises(WorkspaceError, match="leaves the workspace root"):
        Workspace(tmp_path / "root", "x", name if name != "x" else "a/../a")


def test_our_own_directory_is_no_link(workspace: Workspace, outside: Path) -> None:
    workspace.meta.symlink_to(outside)
    with pytest.raises(WorkspaceError, match=r"\.meta is a link: remove it"):
        workspace.prepare(GRANT)
    with pytest.raises(WorkspaceError, match="can not write"):
        workspace.keep_session({"id": "x"})
    with pytest.raises(WorkspaceError, match="can not write"):
        workspace.timed_out("late")
    assert untouched(outside)


@pytest.mark.parametrize("target", ["../../outside", "repo"])
def test_a_checkout_lies_inside(workspace: Workspace, outside: Path, target: str) -> None:
    workspace.repo.symlink_to(target)
    with pytest.raises(WorkspaceError, match="leads out of the workspace root"):
        workspace.prepare(GRANT)
    assert untouched(outside)


def test_a_checkout_may_be_a_link_that_stays_inside(workspace: Workspace) -> None:
    (workspace.path / "main").mkdir()
    workspace.repo.symlink_to("main")
    workspace.prepare(GRANT)
    workspace.tell("yes")
    assert (workspace.path / "main" / "ANSWER.md").read_text() == "yes"


def test_a_log_is_always_a_new_file(workspace: Workspace, outside: Path) -> None:
    workspace.meta.mkdir()
    for target in (outside / "secret", outside / "new"):
        workspace.log("codex").symlink_to(target)
        workspace.prepare(GRANT)
        assert not os.path.lexists(workspace.log("codex"))
    workspace.log("codex").symlink_to(outside / "secret")  # in between
    log = workspace.log("codex")
    run = Run(9, "a", ("echo", "mine"), {"PATH": os.environ["PATH"]}, workspace.path, log, 1)
    with pytest.raises(OSError, match="symbolic links"):
        spawn(run, {})
    assert untouched(outside)


def test_what_we_write_replaces_a_link_and_goes_through_none(workspace: Workspace, outside: Path) -> None:
    for name in ("status.json", f".status.json.{os.getpid()}"):
        (workspace.path / name).symlink_to(outside / "secret")
    workspace.write({"status": "failed"})
    assert workspace.read()["status"] == "failed"
    assert [path.name for path in workspace.path.iterdir()] == ["status.json"]
    assert untouched(outside)


def test_a_directory_that_became_a_link_meanwhile_is_not_written_to(workspace: Workspace, outside: Path) -> None:
    workspace.path.rmdir()
    workspace.path.symlink_to(outside)
    with pytest.raises(WorkspaceError, match="can not write"):
        workspace.write({"status": "failed"})
    assert untouched(outside)


@pytest.mark.parametrize("place", ["", "repo"])
def test_no_question_is_read_from_elsewhere(workspace: Workspace, outside: Path, place: str) -> None:
    workspace.repo.mkdir()
    (workspace.path / place / "BLOCKED.md").symlink_to(outside / "secret")
    assert workspace.question() is None
    workspace.tell(None)
    (workspace.repo / "why.md").write_text("which port?")
    (workspace.path / place / "BLOCKED.md").symlink_to(workspace.repo / "why.md")
    assert workspace.question() == "which port?"
    assert untouched(outside)


def test_what_is_looked_at_again_must_still_lie_there(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "root"
    put(root, "a", "completed")
    assert [one.workspace for one in look(root, ["a"]).said] == ["a"]
    put(outside, "x", "completed")
    (root / "b").symlink_to(outside / "x")
    assert look(root, ["b"]).said == look(root).said[1:] == []


async def test_a_branch_is_no_option_of_git(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="--orphan=x is no name of a branch"):
        await checkout(str(tmp_path), workspace.repo, "--orphan=x")
