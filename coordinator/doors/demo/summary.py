"""What a demo came to: counted from the agents' own marks and from git, and what is wrong with it."""

import collections
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from coordinator.doors.demo import marks
from coordinator.doors.demo.marks import Run
from coordinator.doors.demo.place import Place
from coordinator.doors.demo.plans import Plan
from coordinator.doors.demo.sources import git
from coordinator.doors.demo.tasks import Task, demanded
from coordinator.errors import WorkspaceError
from coordinator.models import Workspace
from coordinator.words import pool_of


class LimitResult(BaseModel):
    """One limit key: `most` ever ran at once, by the agents' marks. Waits are seconds from submission to first mark."""

    limit_key: str
    limit: int
    most: int
    tasks: int
    waited_median: float
    waited_longest: float
    commits: int


class Sample(BaseModel):
    """One commit to look at."""

    repo: str
    log: str
    diffstat: str


class Summary(BaseModel):
    """The whole demo; `ok` when `problems` is empty. Without `directory` and `sample` nothing of it was kept."""

    ok: bool
    seconds: float
    tasks: int
    completed: int
    commits: int
    limits: list[LimitResult]
    hosts: dict[str, int]
    problems: list[str]
    directory: str | None
    sample: Sample | None


@dataclass(frozen=True)
class Counted:
    """What there is to count. `submitted` is nanoseconds of the boot clock, `commits` a number, by workspace."""

    plan: Plan
    tasks: Sequence[Task]
    submitted: Mapping[str, int]
    commits: Mapping[str, int]
    runs: Sequence[Run]

    def limit(self, key: str) -> LimitResult:
        """What came of one limit key."""
        names = {task.workspace for task in self.tasks if key in (task.agent, pool_of(task.agent))}
        runs = [run for run in self.runs if run.workspace in names]
        waits = [(run.start_ns - self.submitted[run.workspace]) / 1e9 for run in runs] or [0.0]
        return LimitResult(
            limit_key=key,
            limit=self.plan.limits[key],
            most=marks.most_at_once(runs),
            tasks=len(names),
            waited_median=round(statistics.median(waits), 2),
            waited_longest=round(max(waits), 2),
            commits=sum(self.commits[name] for name in names),
        )


def count(place: Place, plan: Plan, submitted: Mapping[Task, int], base: str) -> Counted:
    """Read the marks, and count each workspace's commits after `base`."""
    commits = {task.workspace: _commits(place, task.workspace, base) for task in submitted}
    when = {task.workspace: ns for task, ns in submitted.items()}
    return Counted(plan, list(submitted), when, commits, marks.read(place.marks))


def sum_up(place: Place, counted: Counted, records: Sequence[Workspace], base: str, seconds: float) -> Summary:
    """All of it, with what is wrong."""
    most = demanded(counted.plan, counted.tasks)
    limits = [counted.limit(key) for key in most]
    problems = [*_unwell(counted.tasks, records, counted.runs), *_beside(limits, most)]
    return Summary(
        ok=not problems,
        seconds=round(seconds, 1),
        tasks=len(counted.tasks),
        completed=sum(one.status == "completed" for one in records),
        commits=sum(counted.commits.values()),
        limits=limits,
        hosts=dict(sorted(collections.Counter(one.host for one in records if one.host).items())),
        problems=problems,
        directory=str(place.directory),
        sample=next((_sample(place, name, base) for name, made in counted.commits.items() if made), None),
    )


def _unwell(tasks: Sequence[Task], records: Sequence[Workspace], runs: Sequence[Run]) -> Iterator[str]:
    found = {one.workspace: one for one in records}
    began = collections.Counter(run.workspace for run in runs)
    endless = {run.workspace for run in runs if run.end_ns is None}
    for name in (task.workspace for task in tasks):
        record = found.get(name)
        if record is None or record.status != "completed":
            said = f": {record.question}" if record and record.question else ""
            yield f"{name} is {record.status if record else 'unknown'}{said}"
        elif began[name] != 1:
            yield f"{name} ran {began[name]} times by its agents' marks"
        elif name in endless:
            yield f"{name} never marked its end"


def _beside(limits: Sequence[LimitResult], most: Mapping[str, int]) -> Iterator[str]:
    for one in limits:
        if one.most > one.limit:
            yield f"{one.limit_key} went over its limit: {one.most} at once, {one.limit} allowed"
        elif one.most < most[one.limit_key]:
            yield f"{one.limit_key} was never full: at most {one.most} at once of {most[one.limit_key]}"


def _repo(place: Place, workspace: str) -> Path:
    return place.root / workspace / "repo"


def _commits(place: Place, workspace: str, base: str) -> int:
    try:
        return int(git(_repo(place, workspace), "rev-list", "--count", f"{base}..HEAD"))
    except WorkspaceError:  # it never had a checkout; its record says why
        return 0


def _sample(place: Place, workspace: str, base: str) -> Sample:
    repo = _repo(place, workspace)
    stat = git(repo, "diff", "--shortstat", base, "HEAD")
    return Sample(repo=str(repo), log=git(repo, "log", "--oneline", "-1"), diffstat=stat)
