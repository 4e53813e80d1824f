"""What the agents did, by their own marks, and the facts that were told, against what was asked for: promises 1 and 2.

The marks' order in their file is the order in which things happened. An agent acts from one mark to the next where
these are not further apart than `GAP_NS`; one that was stopped, or killed, says nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tests.faults.storm.ledger import Ledger
from tests.marks import Mark

GAP_NS = 1_500_000_000


class Spell(NamedTuple):
    """A run that acted without a pause, from one place in the record to another."""

    workspace: str
    token: int
    agent: str
    first: int
    last: int


class Ending(NamedTuple):
    """An ending that the stream of facts tells, and when (epoch ms).

    `retold`: the server had forgotten the run, and its host told it how that had ended.
    """

    workspace: str
    at: int
    retold: bool = False


def keys_of(workspace: str, agent: str) -> tuple[str, ...]:
    """Every limit key that a run of this workspace counts under."""
    org, repo, _ = workspace.split("/")
    pool, _, model = agent.partition(":")
    return ("*", pool, *([agent] if model else []), f"repo:{org}/{repo}", f"org:{org}")


def spells(marks: Sequence[Mark]) -> list[Spell]:
    """Every spell of acting, in the order in which they began."""
    found: list[Spell] = []
    open_: dict[tuple[str, str], tuple[Spell, int]] = {}
    for at, mark in enumerate(marks):
        run = (mark.workspace, mark.token)
        before = open_.get(run)
        if before and mark.ns - before[1] <= GAP_NS:
            open_[run] = (before[0]._replace(last=at), mark.ns)
            continue
        if before:
            found.append(before[0])
        open_[run] = (Spell(mark.workspace, int(mark.token), mark.agent, at, at), mark.ns)
    return sorted([*found, *(spell for spell, _ in open_.values())], key=lambda spell: spell.first)


def beyond_limits(marks: Sequence[Mark], ledger: Ledger) -> Iterator[str]:
    """Promise 1. The newest of those that act was granted while all the others held their slots: its moment counts."""
    acting: dict[str, set[Spell]] = defaultdict(set)
    for spell in spells(marks):
        for key in keys_of(spell.workspace, spell.agent):
            there = {other for other in acting[key] if other.last > spell.first} | {spell}
            acting[key] = there
            runs = {(other.workspace, other.token) for other in there}
            newest = max(token for _, token in runs)
            limit = ledger.limit_at(key, newest)
            if limit is not None and len(runs) > limit:
                who = ", ".join(f"{name} {token}" for name, token in sorted(runs, key=lambda run: run[1]))
                yield f"over a limit: {len(runs)} acted at once under {key}, which allowed {limit} at {newest}: {who}"


def twice_at_once(marks: Sequence[Mark]) -> Iterator[str]:
    """Promise 2: a token starts once, and nothing of a run acts when a newer run of its workspace has begun."""
    newest: dict[str, int] = {}
    started: set[tuple[str, int]] = set()
    told: set[tuple[str, int]] = set()
    for mark in marks:
        run = (mark.workspace, int(mark.token))
        if mark.what == "start":
            if run in started:
                yield f"started twice: {mark.workspace} under token {mark.token}"
            started.add(run)
        if newest.get(mark.workspace, 0) > run[1] and run not in told:
            told.add(run)
            yield f"two at once: {mark.workspace} {mark.what} of {run[1]} after {newest[mark.workspace]} began"
        newest[mark.workspace] = max(newest.get(mark.workspace, 0), run[1])


def came_back(marks: Sequence[Mark], endings: Iterable[Ending], ledger: Ledger) -> Iterator[str]:
    """Promise 2: what was killed, or has ended, starts only when it was asked for once more."""
    over = [(name, at, "was killed") for name, at in ledger.killed.items()]
    over += [(ending.workspace, ending.at, "had ended") for ending in endings]
    tokens: dict[str, list[int]] = defaultdict(list)
    for mark in marks:
        if mark.what == "start":
            tokens[mark.workspace].append(int(mark.token))
    for name, at, what in over:
        for token in tokens[name]:
            if token > at and not any(at - 1 <= asked <= token for asked in ledger.again.get(name, ())):
                yield f"came back: {name} {what} at {at} and was started as {token}"


def counted_twice(endings: Sequence[Ending], ledger: Ledger) -> Iterator[str]:
    """Promise 2: of two endings of a workspace somebody asked for the second one; the hosts may remember both."""
    last: dict[str, int] = {}
    for name, at, retold in endings:
        before = None if retold else last.get(name)
        if before is not None and not any(before - 1 <= asked <= at for asked in ledger.again.get(name, ())):
            yield f"ended twice: {name} at {before} and at {at}"
        last[name] = at


def unasked(marks: Sequence[Mark], ledger: Ledger) -> Iterator[str]:
    """Promise 2: nothing runs that nobody asked for."""
    for name in sorted({mark.workspace for mark in marks} - ledger.submitted.keys()):
        yield f"unasked: {name} ran and nobody asked for it"


def broken(marks: Sequence[Mark], endings: Sequence[Ending], ledger: Ledger) -> list[str]:
    """Each way in which what is known so far breaks the promises, as a sentence that stays the same later on."""
    return [
        *beyond_limits(marks, ledger),
        *twice_at_once(marks),
        *came_back(marks, endings, ledger),
        *counted_twice(endings, ledger),
        *unasked(marks, ledger),
    ]
