"""query: records by name or by filter, in pages."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from coordinator.models import LuaList, Record, Workspace
from coordinator.operations._fields import Line, Positive, RepoPath
from coordinator.operations._operation import Operation
from coordinator.words import AgentName, HostName, Millis, Status, WorkspaceName


class Found(Record):
    """A page of records, or of their names, newest first; ask again with `cursor` for the next."""

    outcome: Literal["found"] = "found"
    workspaces: LuaList[Workspace] = ()
    names: LuaList[str] = ()
    cursor: str | None = None


class Query(Operation[Found]):
    """Records by name, or by status, repo, agent, host and the time of their last change of status.

    `after` is the first moment that counts, `before` the first that does not (epoch ms). By status, or newest first
    over all with `recent`; with `names` only names. Long tasks are cut unless asked for by name.
    """

    reads: ClassVar[bool] = True
    workspace: WorkspaceName | None = Field(default=None, alias="name")
    status: Status | None = None
    repo: RepoPath | None = None
    agent: AgentName | None = None
    host: HostName | None = None
    after: Millis | None = None
    before: Millis | None = None
    recent: bool | None = Field(default=None, strict=True)
    names: bool | None = Field(default=None, strict=True)
    cursor: Line | None = None
    count: Annotated[Positive, Field(le=500)] | None = None
