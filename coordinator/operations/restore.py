"""restore: a host tells of runs whose grant the registry has forgotten."""

from typing import Annotated, Literal

from pydantic import Field

from coordinator.models import LuaList, Question, Record
from coordinator.operations._fields import Id, Line, PathText
from coordinator.operations._operation import Operation
from coordinator.operations.complete import HoldersEnding
from coordinator.words import (
    AccountName,
    AgentName,
    Branch,
    Count,
    HostName,
    Millis,
    RepoName,
    Task,
    Token,
    WorkspaceName,
)


class Restored(Record):
    """So many runs were forgotten and are known again; those in `lost` are not the host's any more.

    The leases of all others that still run last `ttl` ms from now.
    """

    outcome: Literal["restored"] = "restored"
    count: int
    lost: LuaList[str] = ()
    ttl: Millis


class Unregistered(Record):
    """The host is not registered under this incarnation: renew first."""

    outcome: Literal["unregistered"] = "unregistered"


class HeldRun(Question):
    """A run as its host was granted it, and how it ended where it has. `started_at` is epoch milliseconds.

    `stilled`: its lease was over, and its agent stands still.
    """

    workspace: WorkspaceName
    token: Token
    agent: AgentName
    lane: PathText | None = None
    task: Task | None = None
    repo: RepoName | None = None
    org: RepoName | None = None
    branch: Branch | None = None
    source: PathText | None = None
    dir: PathText | None = None
    session: Line | None = None
    account: AccountName | None = None
    attempt: Count | None = None
    started_at: Count | None = None
    pid: Count | None = None
    stilled: bool | None = Field(default=None, strict=True)
    ending: HoldersEnding | None = None


RestoreReply = Annotated[Restored | Unregistered, Field(discriminator="outcome")]


class Restore(Operation[RestoreReply]):
    """Tell of the runs that a host holds, and of those that ended there lately, after the server came back."""

    host: HostName
    incarnation: Id
    machine: Id | None = None
    runs: Annotated[list[HeldRun], Field(max_length=16)]
