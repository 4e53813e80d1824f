"""Which directories below the root are workspaces."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from coordinator.errors import Problem
from coordinator.words import WORKSPACE, shown

STATUS: Final = "status.json"
LONGEST: Final = 4 << 20  # bytes; a longer status.json is nobody's
_DEPTHS: Final = (1, 3)  # <root>/<name>, and <root>/<org>/<repo>/<id>
_META: Final = ".meta"  # in the reference runner's beside `repo/`; one that works without a checkout has no `repo/`


class Tree(NamedTuple):
    """The names of all workspaces, sorted, and what could not be looked at."""

    names: tuple[str, ...]
    problems: tuple[Problem, ...]


def walk(root: Path) -> Tree:
    """Every directory with a status.json that is one or three deep, or that has `.meta/` too; none inside
    another. Links to directories are not followed, so none leads round in a circle or out of the root. The servers' and
    the hosts' own directories, whose names begin with a dot, are not looked at.

    Raises FileNotFoundError when there is no root.
    """
    top = root.resolve(strict=True)
    names: list[str] = []
    problems: list[Problem] = []
    left = [("", 0)]
    while left:
        name, depth = left.pop()
        try:
            with os.scandir(top / name) as listed:
                entries = {entry.name: entry for entry in listed}
        except OSError as error:
            problems.append(Problem(plain(name) or str(top), f"can not be read: {error.strerror}", "mend its rights"))
            continue
        if depth and STATUS in entries and (depth in _DEPTHS or (_META in entries and _is_directory(entries[_META]))):
            if WORKSPACE.accepts(name):
                names.append(name)
            else:
                allowed = f"is no name for a workspace: 1 to {WORKSPACE.longest} {WORKSPACE.allowed}"
                problems.append(Problem(plain(name), allowed, f"rename it, like {WORKSPACE.example}"))
        elif len(name) <= WORKSPACE.longest:  # what lies deeper could have no name
            left += [(f"{name}/{one}" if depth else one, depth + 1) for one in _below(entries, at_top=not depth)]
    return Tree(tuple(sorted(names)), tuple(sorted(problems)))


def lying(top: Path, names: Iterable[str]) -> list[str]:
    """Those of these names, which `walk` found before, that no link leads elsewhere by now; `top` is resolved."""
    return [name for name in names if os.path.realpath(top / name) == str(top / name)]


def is_workspace(directory: Path, depth: int) -> bool:
    """Whether `walk` takes a directory that lies so many steps below the root for a workspace."""
    known = directory / _META
    return os.path.lexists(directory / STATUS) and (depth in _DEPTHS or (known.is_dir() and not known.is_symlink()))


def plain(name: str) -> str:
    """A name from a disk as text that can be written anywhere."""
    return name.encode("utf-8", "backslashreplace").decode() if name.isprintable() else shown(name)


def _below(entries: "dict[str, os.DirEntry[str]]", *, at_top: bool) -> list[str]:
    return [name for name, entry in entries.items() if _is_directory(entry) and not (at_top and name.startswith("."))]


def _is_directory(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def content(path: Path) -> tuple[bytes, float]:
    """The bytes of a status.json, and when it was last written (epoch seconds).

    Raises ValueError that says what is there instead; a link is not followed, a pipe or a device not waited for.
    """
    try:
        whole, written = beginning(path, LONGEST + 1, os.O_NOFOLLOW)
    except OSError as error:
        raise ValueError("is a link" if path.is_symlink() else f"can not be read: {error.strerror}") from None
    if len(whole) > LONGEST:
        raise ValueError(f"is longer than {LONGEST >> 20} MiB")
    return whole, written


def beginning(path: Path, most: int, flags: int = 0) -> tuple[bytes, float]:
    """The first bytes of a file that anybody may have left, at most so many, and when it was last written.

    Raises OSError; ValueError where it is no file: a pipe or a device is not waited for.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | flags)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("is not a file")
        start = b""
        while len(start) < most and (piece := os.read(descriptor, most - len(start))):
            start += piece
    finally:
        os.close(descriptor)
    return start, found.st_mtime
