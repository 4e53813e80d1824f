"""What agents really did, by their own marks, and what of promises 1 and 2 it breaks.

Every mark is one write at the end of one file: their order in it is the order in which things happened, and no clock
that is set, or differs between cores, can change it.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tests.marks import Mark


class Run(NamedTuple):
    """One attempt at a workspace: the numbers of its first and last mark; None where it never said its end."""

    token: str
    workspace: str
    agent: str
    began: int
    ended: int | None


def written(path: Path) -> list[Mark]:
    """Every mark in the order in which they were written; a line that is being written is not one yet."""
    text = path.read_text() if path.exists() else ""
    words = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [Mark(what, token, workspace, agent, int(ns)) for what, token, workspace, agent, ns in words]


def runs(marks: Iterable[Mark]) -> list[Run]:
    """Every attempt, in the order in which they began."""
    found: dict[tuple[str, str], Run] = {}
    again: list[Run] = []  # a token that was started twice
    for at, mark in enumerate(marks):
        name = (mark.token, mark.workspace)
        if mark.what == "start":
            if name in found:
                again.append(found[name])
            found[name] = Run(mark.token, mark.workspace, mark.agent, at, None)
        else:
            found[name] = found[name]._replace(ended=at)
    return sorted([*found.values(), *again], key=lambda run: run.began)


def broken(marks: Collection[Mark], limits: Mapping[str, int], workspaces: Collection[str]) -> list[str]:
    """Each way in which the promises are broken, as a sentence; none where they hold.

    `limits`: key (`*`, a pool, an agent with its model) to the most that may run at once. `workspaces`: all that were
    asked for, each of which must have run to its end once. A run that never said its end was killed, nobody knows when:
    it counts at its own start alone. How many there may be of them is the test's to say (`killed`).
    """
    all_runs = runs(marks)
    return [*_beyond(marks, all_runs, limits), *_not_once(all_runs, workspaces)]


def killed(marks: Iterable[Mark]) -> list[Run]:
    """The runs that never said their end."""
    return [run for run in runs(marks) if run.ended is None]


def most_at_once(marks: Collection[Mark]) -> dict[str, int]:
    """Key to the most that ever ran at once."""
    return {key: most for key, (most, _) in _most(marks, runs(marks)).items()}


def _keys(agent: str) -> set[str]:
    return {"*", agent.partition(":")[0], agent}


def _most(marks: Collection[Mark], all_runs: Iterable[Run]) -> dict[str, tuple[int, Mark]]:
    """Key to the most at once, and the mark with which it was reached."""
    never_ended = {(run.token, run.workspace) for run in all_runs if run.ended is None}
    running: Counter[str] = Counter()
    most: dict[str, tuple[int, Mark]] = {}
    for mark in marks:
        for key in _keys(mark.agent):
            running[key] += 1 if mark.what == "start" else -1
            if running[key] > most.get(key, (0, mark))[0]:
                most[key] = (running[key], mark)
        if (mark.token, mark.workspace) in never_ended:
            running.subtract(_keys(mark.agent))
    return most


def _beyond(marks: Collection[Mark], all_runs: Iterable[Run], limits: Mapping[str, int]) -> Iterator[str]:
    for key, (most, mark) in _most(marks, all_runs).items():
        if most > limits.get(key, most):
            yield f"{most} ran at once under {key}, which allows {limits[key]}: the last was {mark.workspace}"


def _not_once(all_runs: Iterable[Run], workspaces: Collection[str]) -> Iterator[str]:
    by_name: dict[str, list[Run]] = defaultdict(list)
    for run in all_runs:
        by_name[run.workspace].append(run)
    for name in sorted(by_name.keys() | set(workspaces)):
        of_it, tokens = by_name[name], [run.token for run in by_name[name]]
        ends = sum(run.ended is not None for run in of_it)
        if name not in workspaces:
            yield f"{name} ran and nobody asked for it"
        elif ends != 1:
            yield f"{name} ran to its end {ends} times, tokens {tokens}"
        elif of_it[-1].ended is None:
            yield f"{name} was started again after its end, tokens {tokens}"
        if len(set(tokens)) != len(tokens):
            yield f"{name}: one token was started twice, tokens {tokens}"
        elif sorted(tokens, key=int) != tokens:
            yield f"{name}: a run began after one of a higher token, tokens {tokens}"
        for earlier, later in pairwise(of_it):
            if earlier.ended is not None and earlier.ended > later.began:
                yield f"{name} ran twice at the same time, tokens {earlier.token} and {later.token}"
