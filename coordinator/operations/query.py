"""query: records by name or by filter, in pages."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from coordinator.models import LuaList, Record, Workspace
from coordinator.operations._fields import Id, Positive, RepoPath
from coordinator.operations._operation import Operation
from coordinator.words import AgentName, HostName, Status, WorkspaceName


class Found(Record):
    """A page of records, newest first; ask again with `cursor` for the next."""

    outcome: Literal["found"] = "found"
    workspaces: LuaList[Workspace] = ()
    cursor: str | None = None


class Query(Operation[Found]):
    """Records by name, or by status, repo, agent and host. Long tasks are cut unless asked for by name."""

    reads: ClassVar[bool] = True
    workspace: WorkspaceName | None = Field(default=None, alias="name")
    status: Status | None = None
    repo: RepoPath | None = None
    agent: AgentName | None = None
    host: HostName | None = None
    cursor: Id | None = None
    count: Annotated[Positive, Field(le=500)] | None = None
