"""Real source files that any machine has: packages of Python's own standard library, in a git repository."""

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from coordinator.errors import WorkspaceError

_PACKAGES: Final = (
    *("json", "email", "http", "logging", "importlib", "unittest", "concurrent", "collections", "html", "urllib"),
    *("xmlrpc", "zoneinfo", "wsgiref", "re", "tomllib", "dbm"),
)
_NOT: Final = shutil.ignore_patterns("__pycache__", "test*", "*_test*", "*.so", "*.dll", "*.pyd", "*.pyc")


def need_git() -> None:
    """Raises WorkspaceError when there is no git."""
    if shutil.which("git") is None:
        raise WorkspaceError("there is no git on PATH, and the demo's agents commit with it: install git")


def packages() -> list[Path]:
    """The packages that this Python has in source; WorkspaceError when it has none."""
    library = Path(sysconfig.get_path("stdlib"))
    found = [library / name for name in _PACKAGES if (library / name / "__init__.py").is_file()]
    if not found:
        raise WorkspaceError(f"this Python has no source files of its standard library in {library}: use another one")
    return found


def make_repository(place: Path, sources: list[Path], environ: Mapping[str, str]) -> str:
    """Copy the packages to `Lib/` of a new git repository; the id of its one commit. Raises WorkspaceError."""
    try:
        for source in sources:
            shutil.copytree(source, place / "Lib" / source.name, ignore=_NOT)
        (place / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
        git(place, "init", "--quiet", environ=environ)
        git(place, "add", "--all", environ=environ)
        git(place, "commit", "--quiet", "-m", "Packages of Python's standard library", environ=environ)
    except OSError as error:
        raise WorkspaceError(f"can not make the demo's repository in {place}: {error}") from error
    return git(place, "rev-parse", "HEAD", environ=environ)


def git(place: Path, *arguments: str, environ: Mapping[str, str] = os.environ) -> str:
    """What git prints in a directory. Raises WorkspaceError."""
    command = ("git", "-C", str(place), *arguments)
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", env=environ, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit {done.returncode}"]
        raise WorkspaceError(f"git {arguments[0]} failed in {place}: {last[0]}")
    return done.stdout.strip()
