"""track: bring workspaces into the registry as they lie on a disk."""

from typing import Annotated, Literal

from pydantic import Field

from coordinator.models import Question, Record
from coordinator.operations._fields import Line, PathText, Priority, Signed, Text
from coordinator.operations._operation import Operation
from coordinator.words import (
    AccountName,
    AgentName,
    Branch,
    Count,
    HostName,
    RepoName,
    Status,
    Task,
    Token,
    WorkspaceName,
)


class Tracked(Record):
    """How many were new to the registry, how many it now knows otherwise, and how many are another host's."""

    outcome: Literal["tracked"] = "tracked"
    new: int
    changed: int
    foreign: int = 0


class OnDisk(Question):
    """A workspace as its status.json tells it. Times are epoch milliseconds.

    `updated_at` says how old the statement is, `token` which of our runs it is about: an old one changes nothing.
    """

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
    updated_at: Count | None = None
    token: Token | None = None
    account: AccountName | None = None  # that it runs under


class Track(Operation[Tracked]):
    """Tell the registry of workspaces on a host. What it knows to wait stays, and what runs, but for runs of its own.

    One that is said to run and is not known to is entered as a run without a guard, and counts.
    """

    workspaces: Annotated[list[OnDisk], Field(max_length=256)]
    host: HostName | None = None
