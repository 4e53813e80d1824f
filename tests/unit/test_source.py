"""A checkout is known again by the source it was given, whatever the host's git makes of it."""

from pathlib import Path

import pytest

from coordinator.errors import WorkspaceError
from tests.gits import git
from workers.source import checkout


async def test_a_checkout_is_known_again_where_git_rewrites_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `url.git@example.org:.insteadOf https://example.org/` does for many people."""
    there, repo = tmp_path / "there" / "x", tmp_path / "workspace" / "repo"
    repo.parent.mkdir()
    git("init", "--quiet", str(there))
    git("-C", str(there), "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "-m", "1")
    (tmp_path / "gitconfig").write_text(f'[url "{there.parent}/"]\n\tinsteadOf = https://git.invalid/\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    for _ in range(2):
        await checkout("https://git.invalid/x", repo, "agent/x")
    with pytest.raises(WorkspaceError, match=r"is a checkout of https://git\.invalid/x, not of"):
        await checkout("https://git.invalid/y", repo, "agent/x")
