"""Where workspaces and agents.yaml are, by the environment alone, and that nothing beside them is shown."""

from pathlib import Path

import pytest

from coordinator.operations import Submit
from tests.cli import REFUSED, Cli


@pytest.mark.reference(43, "T69", "T70", "T71", "T72", "T73", "T74")
@pytest.mark.parametrize(
    ("variable", "core"),
    [("{place}/core", "core"), ("", "home/Code/.core"), (None, "home/Code/.core"), ("{place}/kör ☃", "kör ☃")],
    ids=["set", "empty", "absent", "beyond ASCII"],
)
def test_the_workspaces_lie_below_the_core_directory(
    thawed: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str | None, core: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    if variable is None:
        monkeypatch.delenv("CORE_WORKSPACE")
    else:
        monkeypatch.setenv("CORE_WORKSPACE", variable.format(place=tmp_path))
    thawed.host()
    thawed("dispatch", "core/go-io/task-5", "--agent", "codex")
    thawed.end(thawed.claim()[0])
    log = tmp_path / core / "workspace/core/go-io/task-5/.meta/agent-codex.log"
    log.parent.mkdir(parents=True)
    log.write_text("here\n")
    assert thawed.out("logs", "core/go-io/task-5") == "here\n"
    (tmp_path / core / "agents.yaml").write_text("concurrency: {codex: 7}\n")
    assert thawed.json("config", "check")["file"] == str(tmp_path / core / "agents.yaml")


def test_no_log_is_shown_from_outside_the_root(thawed: Cli, tmp_path: Path) -> None:
    (tmp_path / ".meta").mkdir()
    (tmp_path / ".meta" / "agent-codex.log").write_text("theirs")
    for name, directory in (("up/1", ".."), ("abs/1", str(tmp_path))):
        thawed.do(Submit(workspace=name, agent="codex", dir=directory))
        said = thawed.wrong("logs", name, code=REFUSED)
        assert "leads out of the workspace root" in said
    thawed.do(Submit(workspace="link/1", agent="codex"))
    meta = thawed.root / "link" / "1" / ".meta"
    meta.mkdir(parents=True)
    (meta / "agent-codex.log").symlink_to(tmp_path / ".meta" / "agent-codex.log")
    assert "leads out of the workspace root" in thawed.wrong("logs", "link/1", code=REFUSED)
    (meta / "agent-codex.log").unlink()
    (meta / "agent-codex.log").write_text("mine")
    assert thawed.out("logs", "link/1") == "mine"
