"""What this machine holds of a root, by its files and its process table: for whoever compares it with the registry."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import psutil

from coordinator.errors import GuardError
from workers import hydrate, orphans, processes, strangers, tree
from workers.guarded import GRANT, Guard
from workers.slip import MARK, SUFFIX, Slip
from workers.statement import read

Kind = Literal["host", "run", "slip", "note", "leftover", "stranger", "file"]


class Piece(NamedTuple):
    """One thing that is here.

    A `host` of this root, a living `run`, the `slip` of one that has ended, the `note` of one that never began,
    processes that are `leftover` of a run without a guard, a `stranger` under no guard that says it works there, a
    status.json that says running and is wrong (`file`). `worked`: a worker of its host lives.
    """

    kind: Kind
    workspace: str
    place: Path
    token: int | None = None
    host: str = ""
    pids: tuple[int, ...] = ()
    worked: bool = False


def census(root: Path) -> list[Piece]:
    """All of it; blocks for a walk through the tree and the process table. Nothing where there is no root."""
    try:
        top = root.resolve(strict=True)
    except OSError:
        return []
    worked = {home.name: _is_worked(home) for home in sorted(top.glob(".hosts/*"))}
    found = [Piece("host", "", top / ".hosts" / host, host=host, worked=works) for host, works in worked.items()]
    found += [piece for guard in _guards(top) if (piece := _of_guard(guard, worked))]
    for note in top.glob(f".hosts/*/runs/*{GRANT}"):
        host = note.parent.parent.name
        if not note.with_suffix(SUFFIX).exists() and not worked[host] and note.stem.isdecimal():
            found.append(Piece("note", "", note, int(note.stem), host))
    guarded = {piece.place for piece in found if piece.kind == "run"}
    found += _unguarded(top, guarded, {pid for piece in found for pid in piece.pids})
    return [*found, *_files(top, found)]


def _is_worked(home: Path) -> bool:
    """Whether the process that wrote its pid into the lock lives; it says so before it does anything else."""
    try:
        pid = int((home / "lock").read_text(encoding="ascii"))
    except PermissionError:  # of another user: it may
        return True
    except (OSError, ValueError):
        return False
    try:
        seen = processes.look(pid)
    except OSError:  # nobody can look just now: it may
        return True
    return seen is not None and seen.state != "dead"


def _guards(top: Path) -> Iterator[Guard]:
    for path in sorted(top.glob(f".hosts/*/runs/*{SUFFIX}")):
        with contextlib.suppress(GuardError, ValueError):  # gone meanwhile, or no slip
            guard = Guard(path)
            if guard.workspace:
                yield guard


def _of_guard(guard: Guard, worked: dict[str, bool]) -> Piece | None:
    host = guard.path.parent.parent.name
    try:
        lives, pid = guard.state() != "ended", guard.pid
    except GuardError:  # its ending was reported meanwhile
        return None
    kind: Kind = "run" if lives else "slip"
    pids = (pid,) if lives and pid else ()
    return Piece(kind, guard.workspace, guard.path, guard.token, host, pids, worked.get(host, False))


def _unguarded(top: Path, guarded: set[Path], agents: set[int]) -> Iterator[Piece]:
    """Processes with the mark of a run of this root that has no living guard, and those that say without one that they
    work in it."""
    leftover: dict[tuple[str, str], list[int]] = {}
    strange: dict[str, list[int]] = {}
    for pid, environment in sorted(strangers.carriers(hydrate.WORKSPACE).items()):
        mark, workspace = environment.get(MARK), environment[hydrate.WORKSPACE]
        if mark is None:
            if pid != os.getpid() and (top / workspace).is_dir() and not _below(pid, agents):  # else of another root
                strange.setdefault(workspace, []).append(pid)
        elif Path(mark).is_relative_to(top) and Path(mark) not in guarded:
            leftover.setdefault((mark, workspace), []).append(pid)
    for (mark, workspace), pids in leftover.items():
        path = Path(mark)
        token = int(path.stem) if path.stem.isdecimal() else None
        yield Piece("leftover", workspace, path, token, path.parent.parent.name, tuple(pids))
    for workspace, pids in strange.items():
        yield Piece("stranger", workspace, top / workspace, pids=tuple(pids))


def _files(top: Path, found: list[Piece]) -> Iterator[Piece]:
    """What only says in its status.json that it runs."""
    seen = {piece.workspace for piece in found if piece.kind not in ("host", "note")}
    for name in tree.walk(top).names:
        if name not in seen:
            statement, _ = read(top, name)
            if statement and statement.said.status == "running" and hydrate.judged(statement, {})[0].status == "queued":
                yield Piece("file", name, top / name / tree.STATUS, statement.said.token)


def _below(pid: int, agents: set[int]) -> bool:
    """Whether an agent under a guard has started it, and took the mark from its environment."""
    try:
        return any(parent.pid in agents for parent in psutil.Process(pid).parents())
    except psutil.Error:
        return True  # it is gone


def end_stale(piece: Piece) -> bool:
    """Have a run ended whose workspace has another by now: its guard is ours, and does it. False when it is gone."""
    try:
        Guard(piece.place).end("lost")
    except (GuardError, ValueError):
        return False
    return True


def clear(piece: Piece) -> bool:
    """Remove the slip or the note of a run that has ended; False while its guard lives, or any process of it."""
    try:
        if piece.kind == "note":
            piece.place.unlink(missing_ok=True)
            return True
        with Slip.open(piece.place) as slip:
            if orphans.tree_of(slip):  # the next worker of its host ends these, by the slip
                return False
        Guard(piece.place).forget()
    except (GuardError, ValueError, OSError):
        return False
    return True
