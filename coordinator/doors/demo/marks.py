"""What the agents' own marks say: when each ran, and how many ever ran at once. Redis is not asked."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One run by its marks, in nanoseconds of the boot clock; one that never marked its end has none."""

    workspace: str
    start_ns: int
    end_ns: int | None


def read(file: Path) -> list[Run]:
    """Every run, in the order of their starts."""
    began: dict[tuple[str, int], int] = {}
    ended: dict[tuple[str, int], int] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        (began if told["mark"] == "start" else ended)[told["workspace"], told["pid"]] = told["ns"]
    runs = [Run(run[0], start, ended.get(run)) for run, start in began.items()]
    return sorted(runs, key=lambda run: run.start_ns)


def most_at_once(runs: Iterable[Run]) -> int:
    """The most that ever ran at the same instant. A run without an end never ended."""
    steps = []
    for run in runs:
        steps.append((run.start_ns, 1))
        if run.end_ns is not None:
            steps.append((run.end_ns, -1))
    most = now = 0
    for _, step in sorted(steps):  # at one instant ends go first
        now += step
        most = max(most, now)
    return most
