"""What lies on a disk -> the registry. What runs there without a guard counts; what only seems to run waits again."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from coordinator.errors import GuardError, InvalidQuestion, Problem, StoreUnusable
from coordinator.operations import Track
from coordinator.operations.track import OnDisk
from coordinator.store import Store
from workers import strangers, tree
from workers.batches import batches
from workers.guarded import Guard
from workers.slip import MARK, SUFFIX
from workers.statement import Statement, read

log = logging.getLogger(__name__)
LOOK_EVERY: Final = 60.0  # seconds between looks at what runs without a guard
WORKSPACE: Final = "DISPATCH_WORKSPACE"
_MOST: Final = 64  # workspaces a question: the server does nothing else meanwhile
_MOST_BYTES: Final = 1 << 20  # of tasks in one question
_MOST_NAMED: Final = 20  # problems in a worker's log
_AT_ONCE: Final = 4  # questions that share a round trip
_CLOCKS_DIFFER: Final = 2.0  # seconds between the kernel's clock of births and that of files
_SLOW_START: Final = 60.0  # seconds by which a start may be written down after the birth
_DECIDES: Final = {"agent", "task", "repo", "org", "branch"}  # what would run, and under which limits
_UNSEEN: Final = {"vz"}  # runtimes in which no process of this host shows whether the agent lives


class Hydrated(NamedTuple):
    """How many workspaces lie there, what of them is news to the registry, and what could not be read."""

    found: int
    new: int
    changed: int
    foreign: int
    problems: tuple[Problem, ...]
    alive: frozenset[str] = frozenset()  # they run without a guard


class Found(NamedTuple):
    """What lies below a root: the statements to make, oldest first."""

    workspaces: int
    said: list[OnDisk]
    problems: list[Problem]
    alive: frozenset[str]


async def hydrate(store: Store, root: Path, host: str, names: Collection[str] | None = None) -> Hydrated:
    """Tell the registry what lies below the root of this host: all, or the workspaces of these names.

    Nothing on the disk is changed, and nothing that the registry knows better. Raises FileNotFoundError when there is
    no root, StoreUnavailable, StoreUnusable.
    """
    found = await asyncio.to_thread(look, root, names)
    new = changed = foreign = 0
    problems = list(found.problems)
    parts = list(batches(found.said, _MOST, _MOST_BYTES, _text))
    for start in range(0, len(parts), _AT_ONCE):
        told = await asyncio.gather(*(_tell(store, host, batch) for batch in parts[start : start + _AT_ONCE]))
        for part in told:
            new, changed, foreign = new + part.new, changed + part.changed, foreign + part.foreign
            problems += part.problems
    return Hydrated(found.workspaces, new, changed, foreign, tuple(problems), found.alive)


def look(root: Path, names: Collection[str] | None = None) -> Found:
    """What is to be said of the workspaces below the root; blocks. What a guard holds is its worker's to say."""
    top = root.resolve(strict=True)
    walked = tree.walk(top) if names is None else tree.Tree(tuple(sorted(tree.lying(top, names))), ())
    guarded = set(_guarded(top))  # before the files: a run that ends meanwhile writes its file, then its guard goes
    problems, read_ = list(walked.problems), []
    for name in walked.names:
        if name not in guarded:
            statement, wrong = read(top, name)
            problems += wrong
            read_ += [statement] if statement else []
    said, alive = [], set()
    marked = _marked(top)  # after the files: what was started meanwhile is seen
    guarded |= set(_guarded(top))  # and is its guard's
    for statement in read_:
        if statement.said.workspace in guarded:
            continue
        one, lives = judged(statement, marked)
        decides = _DECIDES | {"pid"} if statement.said.status == "running" else _DECIDES
        if one.status == "queued" and (unknown := sorted(statement.doubted & decides)):
            where = f"{one.workspace}/{tree.STATUS}"
            problems.append(Problem(where, f"is not queued, for its {unknown[0]} is not known", "mend the field"))
            continue
        said.append(one)
        alive |= {one.workspace} if lives else set()
    if names is not None:  # of what ran and says nothing just now the end is not seen yet
        silent = {*walked.names} - guarded - {one.said.workspace for one in read_}
        alive |= {name for name in silent if (top / name).is_dir()}
    said.sort(key=lambda one: one.updated_at or 0)
    return Found(len(walked.names), said, problems, frozenset(alive))


def judged(statement: Statement, marked: dict[str, list[int]]) -> tuple[OnDisk, bool]:
    """What to say of it, and whether a process of it was seen."""
    one = statement.said
    if one.status not in ("queued", "running"):
        return one, False
    one = one.model_copy(update={"dir": one.workspace})  # it runs where it lies, or not at all
    pids = marked.get(one.workspace, [])  # several, where trees share this host: then the file knows which is its own
    pid = one.pid if one.pid in pids else next(iter(pids), None)
    if pid is None and one.status == "running" and one.pid and _fits(one.pid, statement):
        pid = one.pid
    if pid is not None:
        return one.model_copy(update={"status": "running", "pid": pid}), True
    if one.status == "running" and statement.runtime in _UNSEEN:
        return one, False  # nobody can say that it is dead: it counts until its lease has run out
    return one.model_copy(update={"status": "queued", "pid": None}), False


def _fits(pid: int, statement: Statement) -> bool:
    """Whether the process of this pid may be the one the file means.

    Born after the file was written, or long before the run began (on the machine a tree was copied to), it is another.
    """
    born = strangers.born(pid) if pid > 1 else None
    if born is None or born > statement.written + _CLOCKS_DIFFER:
        return False
    started = statement.said.started_at
    return started is None or "started_at" in statement.doubted or born > started / 1000 - _SLOW_START


def _marked(top: Path) -> dict[str, list[int]]:
    """The workspaces for which processes of this host say that they work, with their pids, lowest first.

    Those that belong to a run of another root are left out.
    """
    found: dict[str, list[int]] = {}
    for pid, environment in strangers.carriers(WORKSPACE).items():
        run = environment.get(MARK)
        if pid != os.getpid() and (run is None or Path(run).is_relative_to(top)):
            found.setdefault(environment[WORKSPACE], []).append(pid)
    return found


def _guarded(top: Path) -> Iterator[str]:
    """The workspaces that have a guard's slip below this root, of whichever host."""
    for path in top.glob(f".hosts/*/runs/*{SUFFIX}"):
        with contextlib.suppress(GuardError, ValueError):  # gone meanwhile, or no slip
            yield Guard(path).workspace


def _text(said: OnDisk) -> int:
    return len(said.task or "") + len(said.question or "")


async def _tell(store: Store, host: str, batch: list[OnDisk]) -> Hydrated:
    """Tell of some. One whose record is damaged keeps no other from being told of."""
    try:
        told = await store.run(Track(workspaces=batch, host=host))
    except (StoreUnusable, InvalidQuestion) as error:
        if len(batch) == 1:
            return Hydrated(0, 0, 0, 0, (Problem(batch[0].workspace, str(error)),))
        one, other = [await _tell(store, host, half) for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :])]
        problems = one.problems + other.problems
        if len(problems) == len(batch):  # it is the server's trouble, not a record's
            raise
        return Hydrated(0, one.new + other.new, one.changed + other.changed, one.foreign + other.foreign, problems)
    return Hydrated(0, told.new, told.changed, told.foreign, ())


class Disk:
    """What lies on the disk of a worker's host: all of it told once, what runs there unguarded until it has ended."""

    def __init__(self, store: Store, root: Path, host: str, told: Callable[[], None] = lambda: None) -> None:
        """`told` is called when all was told, or could not be."""
        self._store, self._root, self._host, self._told = store, root, host, told
        self._names: Collection[str] | None = None  # None: all, until that was told
        self._anew = asyncio.Event()
        self._epoch: int | None = None
        self.is_told = False  # or could not be: until then what runs here unguarded may be granted a second time

    def look(self) -> None:
        """Tell of everything again: the registry has lost what it knew."""
        self.is_told = False
        self._anew.set()

    def heard(self, epoch: int | None) -> None:
        """The server's epoch. With another than before it has restarted, and may have lost what it knew."""
        if epoch != self._epoch:
            self.look()
        self._epoch = epoch

    async def work(self) -> None:
        """Tell, and wait for the next reason to."""
        if self._anew.is_set():
            self._anew.clear()
            self._names = None
        try:
            told = await hydrate(self._store, self._root, self._host, self._names)
        finally:
            if not self.is_told and not self._anew.is_set():
                self.is_told = True
                self._told()
        if self._names is None:
            for problem in told.problems[:_MOST_NAMED]:
                log.warning("on the disk: %s", problem)
            if more := len(told.problems[_MOST_NAMED:]):
                log.warning("on the disk: %d problems more; `coordinator hydrate` names all", more)
        if self._names is None or told.new or told.changed:
            log.info(
                "hydrated host=%s found=%d new=%d changed=%d foreign=%d alive=%d problems=%d",
                self._host, told.found, told.new, told.changed, told.foreign, len(told.alive), len(told.problems),
            )  # fmt: skip
        self._names = told.alive
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY if told.alive else None):
                await self._anew.wait()
