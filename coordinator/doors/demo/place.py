"""Where a demo happens: a fresh directory of its own, and the environment of all that it starts."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coordinator.errors import WorkspaceError

#: The user's own git settings may sign, hook or ask; the demo's commits do none of it.
_GIT_CONFIG: Final = """[user]
	name = coordinator demo
	email = demo@localhost
[init]
	defaultBranch = main
[gc]
	auto = 0
[maintenance]
	auto = false
"""
_AUTHOR: Final = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "coordinator demo"), ("EMAIL", "demo@localhost"))
}
_OWN: Final = ("GIT_", "DISPATCH_", "CORE_", "REDIS_URL")


@dataclass(frozen=True)
class Place:
    """The directory of one demo."""

    directory: Path

    @property
    def root(self) -> Path:
        """The workspace root, also of the embedded server."""
        return self.directory / "workspaces"

    @property
    def source(self) -> Path:
        """The git repository that all tasks start from."""
        return self.directory / "source"

    @property
    def logs(self) -> Path:
        """One log for each process of the fleet."""
        return self.directory / "logs"

    @property
    def marks(self) -> Path:
        """The agents' own start and end marks."""
        return self.directory / "marks.jsonl"

    @property
    def config(self) -> Path:
        """The agents.yaml of this demo."""
        return self.directory / "agents.yaml"

    @property
    def git_environment(self) -> dict[str, str]:
        """What makes git the same on every machine."""
        return {"GIT_CONFIG_GLOBAL": str(self.directory / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1", **_AUTHOR}

    def environment(self, environ: Mapping[str, str], namespace: str, redis_url: str | None) -> dict[str, str]:
        """The environment of the fleet's processes: the user's, with nothing of his own fleet in it."""
        kept = {name: value for name, value in environ.items() if not name.startswith(_OWN)}
        named = {"DISPATCH_NAMESPACE": namespace, "DISPATCH_CONFIG": str(self.config)}
        return kept | self.git_environment | named | ({"REDIS_URL": redis_url} if redis_url else {})


@contextmanager
def made(*, keep: bool) -> Iterator[Place]:
    """A new directory, removed at the end unless it is to be kept and something ran in it. Raises WorkspaceError."""
    try:
        place = Place(Path(tempfile.mkdtemp(prefix="coordinator-demo-")).resolve())
        for directory in (place.root, place.source, place.logs):
            directory.mkdir()
        (place.directory / "gitconfig").write_text(_GIT_CONFIG, encoding="utf-8")
        place.marks.touch()
    except OSError as error:
        raise WorkspaceError(f"can not make a directory for the demo: {error}; set TMPDIR") from error
    try:
        yield place
    finally:
        if not keep or not any(place.logs.iterdir()):
            shutil.rmtree(place.directory, ignore_errors=True)
