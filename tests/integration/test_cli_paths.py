"""Where workspaces and agents.yaml are, by the environment alone."""

from pathlib import Path

import pytest

from tests.cli import Cli


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
