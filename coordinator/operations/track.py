"""track: bring workspaces into the registry as they lie on a disk."""

from typing import Annotated, Literal

from pydantic import Field

from coordinator.models import Question, Record
from coordinator.operations._fields import Line, PathText, Priority, Signed, Text
from coordinator.operations._operation import Operation
from coordinator.words import AgentName, Branch, Count, HostName, RepoName, Status, Task, WorkspaceName


class Tracked(Record):
    """How many were new to the registry, and how many it now knows otherwise."""

    outcome: Literal["tracked"] = "tracked"
    new: int
    changed: int


class OnDisk(Question):
    """A workspace as its status.json tells it. Times are epoch milliseconds."""

    workspace: WorkspaceName
    status: Status | None = None
    agent: AgentName | None = None
    task: Task | None = None
    repo: RepoName | None = None
    org: RepoName | None = None
    branch: Branch | None = None
    source: PathText | None = None
    dir: PathText | None = None
    question: Text | None = None
    pr_url: Line | None = None
    session: Line | None = None
    host: HostName | None = None
    priority: Priority | None = None
    runs: Count | None = None
    started_at: Count | None = None
    pid: Signed | None = None
    exit_code: Signed | None = None
    verdict: Line | None = None


class Track(Operation[Tracked]):
    """Tell the registry of workspaces on a host. What it knows to wait or run stays as it is."""

    workspaces: Annotated[list[OnDisk], Field(max_length=256)]
    host: HostName | None = None
