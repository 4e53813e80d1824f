"""The directory of one workspace: where it is, its status.json, its log. Only the holder of the lease writes here."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from coordinator.errors import WorkspaceError
from coordinator.models import Grant
from coordinator.words import pool_of
from workers.tree import STATUS, content

_LONGEST_QUESTION: Final = 60_000  # characters of BLOCKED.md that travel


class Workspace:
    """A directory below the root, with `repo/`, `.meta/` and status.json."""

    def __init__(self, root: Path, name: str, directory: str | None = None) -> None:
        """Raises WorkspaceError when the path leaves the root, also through a link."""
        self.name = name
        self.path = root / (directory or name)
        try:
            inside = self.path.resolve().relative_to(root.resolve()).parts
        except (OSError, RuntimeError, ValueError):  # RuntimeError: links that lead to each other
            inside = ()
        if not inside or inside[0].startswith("."):
            raise WorkspaceError(f"the directory of {name} ({self.path}) leaves the workspace root {root}")
        for above in list(self.path.parents)[: len(inside) - 1]:
            if (above / "status.json").exists():
                raise WorkspaceError(f"{name} lies inside the workspace {above}, whose agent works there too")

    @property
    def repo(self) -> Path:
        """The checkout, when there is one."""
        return self.path / "repo"

    @property
    def work(self) -> Path:
        """Where the agent runs: `repo/` when there is one."""
        return self.repo if self.repo.is_dir() else self.path

    def log(self, agent: str) -> Path:
        """The agent's output."""
        return self.path / ".meta" / f"agent-{pool_of(agent)}.log"

    def prepare(self, grant: Grant) -> None:
        """Make the directory ready for a new run: the last run's log is put aside, its question is gone."""
        try:
            (self.path / ".meta").mkdir(parents=True, exist_ok=True)
            log = self.log(grant.agent)
            if log.exists():
                log.rename(log.with_suffix(f".before-{grant.token}.log"))
            for place in (self.repo, self.path):
                (place / "BLOCKED.md").unlink(missing_ok=True)
        except OSError as error:
            raise WorkspaceError(f"can not prepare {self.path}: {error}") from error

    def question(self) -> str | None:
        """What the agent asks in BLOCKED.md; None when it asks nothing."""
        for place in (self.repo, self.path):
            try:
                text = (place / "BLOCKED.md").read_bytes()[: 4 * _LONGEST_QUESTION].decode("utf-8", "replace").strip()
            except OSError:
                continue
            if text:
                return text[:_LONGEST_QUESTION]
        return None

    def read(self) -> dict[str, Any]:
        """status.json as it stands; empty when it is missing or is not an object."""
        try:
            found = json.loads(content(self.path / STATUS)[0])
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, fields: Mapping[str, Any]) -> None:
        """Change fields of status.json (None removes one) in one rename; fields of others stay."""
        merged = {**self.read(), **fields, "updated_at": rfc3339()}
        text = json.dumps({name: value for name, value in merged.items() if value is not None}, indent=2)
        temporary = self.path / f".status.json.{os.getpid()}"
        try:
            temporary.write_text(text + "\n", encoding="utf-8")
            temporary.replace(self.path / "status.json")
        except OSError as error:
            raise WorkspaceError(f"can not write {self.path / 'status.json'}: {error}") from error


def rfc3339(epoch_ms: int | None = None) -> str:
    """A moment (epoch ms, now by default) as status.json writes it: UTC, to the millisecond."""
    moment = datetime.now(UTC) if epoch_ms is None else datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
