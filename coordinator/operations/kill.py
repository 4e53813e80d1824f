"""kill: end what runs and fail what waits."""

from typing import Literal

from pydantic import Field

from coordinator.models import LuaList, Record
from coordinator.operations._fields import Id, Line, RepoPath
from coordinator.operations._operation import Operation
from coordinator.words import AgentName, HostName, WorkspaceName


class Killing(Record):
    """Runs whose holders were asked to end them; how many waiting ones were failed. Ask again while there is `more`."""

    outcome: Literal["killing"] = "killing"
    running: LuaList[str] = ()
    cleared: int = 0
    cursor: str | None = None
    more: bool = False


class Kill(Operation[Killing]):
    """End workspaces chosen by exactly one field. `all` freezes the queue first."""

    workspace: WorkspaceName | None = None
    agent: AgentName | None = None
    repo: RepoPath | None = None
    host: HostName | None = None
    all: bool | None = Field(default=None, strict=True)
    by: Line | None = None
    reason: Line | None = None
    cursor: Id | None = None
