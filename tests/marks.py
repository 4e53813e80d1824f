"""What agents themselves say of when they ran: the truth that no key of ours can colour."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Mark(NamedTuple):
    """One line of an agent: `start` or `end`, of one attempt (token) at a workspace."""

    what: str
    token: str
    workspace: str
    agent: str
    ns: int


def read(path: Path) -> list[Mark]:
    """Every mark, in the order of time."""
    lines = path.read_text().splitlines() if path.exists() else []
    words = [line.split() for line in lines]
    marks = [Mark(what, token, workspace, agent, int(ns)) for what, token, workspace, agent, ns in words]
    return sorted(marks, key=lambda mark: (mark.ns, mark.what == "start"))


def most_at_once(marks: Iterable[Mark]) -> dict[str, int]:
    """Pool, and agent with a model, to the most that ever ran at the same time; `*` for all."""
    running: Counter[str] = Counter()
    most: dict[str, int] = defaultdict(int)
    for mark in marks:
        for key in {"*", mark.agent.partition(":")[0], mark.agent}:
            running[key] += 1 if mark.what == "start" else -1
            most[key] = max(most[key], running[key])
    return dict(most)


def starts(marks: Iterable[Mark]) -> Counter[str]:
    """Workspace to how often it was started."""
    return Counter(mark.workspace for mark in marks if mark.what == "start")
