"""The directory of one workspace: where it is, its status.json, its log. Only the holder of the lease writes here."""

import contextlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from coordinator.errors import WorkspaceError
from coordinator.models import Grant
from coordinator.words import pool_of
from workers.tree import STATUS, beginning, content, is_workspace

_LONGEST_QUESTION: Final = 60_000  # bytes of BLOCKED.md that travel
_BEGINNING: Final = 64 << 10  # bytes of a log in which a program says which session it is in


class Workspace:
    """A directory below the root, with `repo/`, `.meta/` and status.json."""

    def __init__(self, root: Path, name: str, directory: str | None = None) -> None:
        """Raises WorkspaceError when the path leaves the root, also through a link."""
        self.name = name
        self.path = root / (directory or name)
        try:
            self._root, self._real = root.resolve(), self.path.resolve()
            inside = self._real.relative_to(self._root).parts
        except (OSError, RuntimeError, ValueError):  # RuntimeError: links that lead to each other
            inside = ()
        if not inside or inside[0].startswith("."):
            raise WorkspaceError(f"the directory of {name} ({self.path}) leaves the workspace root {root}")
        for steps, above in enumerate(list(self.path.parents)[: len(inside) - 1], 1):
            if is_workspace(above, len(inside) - steps):
                raise WorkspaceError(f"{name} lies inside the workspace {above}, whose agent works there too")

    @property
    def repo(self) -> Path:
        """The checkout, when there is one."""
        return self.path / "repo"

    @property
    def work(self) -> Path:
        """Where the agent runs: `repo/` when there is one."""
        return self.repo if self.repo.is_dir() else self.path

    @property
    def meta(self) -> Path:
        """What we keep beside the agent's own files."""
        return self.path / ".meta"

    def log(self, agent: str) -> Path:
        """The agent's output."""
        return self.meta / f"agent-{pool_of(agent)}.log"

    def prepare(self, grant: Grant) -> None:
        """Make the directory ready for a new run: the last run's log is put aside, its mark of a timeout is gone.

        One that was named is not made, where no source would fill it: it was removed or renamed since.
        """
        if grant.dir and not grant.source and not self.path.is_dir():
            raise WorkspaceError(f"{self.path} is gone: put it back and retry {self.name}, or dispatch it anew")
        try:
            self._keep_inside()
            self.meta.mkdir(parents=True, exist_ok=True)
            log = self.log(grant.agent)
            if os.path.lexists(log):
                log.rename(log.with_suffix(f".before-{grant.token}.log"))
            (self.meta / "timeout.reason").unlink(missing_ok=True)
        except OSError as error:
            raise WorkspaceError(f"can not prepare {self.path}: {error}") from error

    def _keep_inside(self) -> None:
        """Raises WorkspaceError where an agent has put links that lead us elsewhere in the place of our directories."""
        if self.meta.is_symlink():
            raise WorkspaceError(f"{self.meta} is a link: remove it")
        try:
            inside = self.repo.resolve().is_relative_to(self._root)
        except (OSError, RuntimeError):  # links that lead to each other
            inside = False
        if not inside:
            raise WorkspaceError(f"{self.repo} leads out of the workspace root {self._root}: put a directory there")

    def tell(self, answer: str | None) -> None:
        """Remove an old question, also one that came with the checkout, and leave its answer in ANSWER.md.

        Without an answer an old one stays: it still answers what was asked then.
        """
        try:
            for place in (self.repo, self.path):
                (place / "BLOCKED.md").unlink(missing_ok=True)
        except OSError as error:
            raise WorkspaceError(f"can not remove the old question of {self.name}: {error}") from error
        if answer is not None:
            _replace(self.work.resolve() / "ANSWER.md", answer)

    def timed_out(self, said: str) -> None:
        """Leave the mark of a run that took too long."""
        _replace(self._real / ".meta" / "timeout.reason", said + "\n")

    def said(self, agent: str) -> str:
        """The beginning of what the agent printed."""
        try:
            return beginning(self.log(agent), _BEGINNING, os.O_NOFOLLOW)[0].decode("utf-8", "replace")
        except (OSError, ValueError):  # an agent may have put anything in its place
            return ""

    def session(self) -> dict[str, Any]:
        """What `keep_session` wrote last; empty when there is nothing to read."""
        return _object(self.meta / "session.json")

    def keep_session(self, fields: Mapping[str, Any]) -> None:
        """Write down which session a run is in."""
        _replace(self._real / ".meta" / "session.json", json.dumps(fields) + "\n")

    def question(self) -> str | None:
        """What the agent asks in BLOCKED.md, its beginning where it is long; None when it asks nothing.

        A link out of the workspace asks nothing: else an agent in a sandbox could have us read for it.
        """
        for place in (self.repo, self.path):
            try:
                file = (place / "BLOCKED.md").resolve()
                if not file.is_relative_to(self._real):
                    continue
                found = beginning(file, 4 * _LONGEST_QUESTION, os.O_NOFOLLOW)[0]
            except (OSError, RuntimeError, ValueError):
                continue
            text = found.decode("utf-8", "replace").strip()
            if text:
                return text.encode()[:_LONGEST_QUESTION].decode("utf-8", "ignore")
        return None

    def read(self) -> dict[str, Any]:
        """status.json as it stands; empty when it is missing or is not an object."""
        return _object(self.path / STATUS)

    def write(self, fields: Mapping[str, Any]) -> None:
        """Change fields of status.json (None removes one) in one rename; fields of others stay."""
        merged = {**self.read(), **fields, "updated_at": rfc3339()}
        text = json.dumps({name: value for name, value in merged.items() if value is not None}, indent=2)
        _replace(self._real / "status.json", text + "\n")


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(content(path)[0])
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _replace(path: Path, text: str) -> None:
    """Write a file in one rename. No link is followed, neither in the place of its directory nor of the file."""
    temporary = f".{path.name}.{os.getpid()}"
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise WorkspaceError(f"can not write {path}: {error}") from error
    try:
        with contextlib.suppress(FileNotFoundError):  # of a worker that died half-way, or a trap
            os.unlink(temporary, dir_fd=directory)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o666, dir_fd=directory), "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.replace(temporary, path.name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise WorkspaceError(f"can not write {path}: {error}") from error
    finally:
        os.close(directory)


def rfc3339(epoch_ms: int | None = None) -> str:
    """A moment (epoch ms, now by default) as status.json writes it: UTC, to the millisecond."""
    moment = datetime.now(UTC) if epoch_ms is None else datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
