"""retry: queue workspaces that have ended again, one of them with the answer to its question."""

from pydantic import Field

from coordinator.operations._fields import Id, Line, Text
from coordinator.operations._many import Done
from coordinator.operations._operation import Operation
from coordinator.words import AgentName, Millis, Status, WorkspaceName


class Retry(Operation[Done]):
    """Queue workspaces that have ended again: one, or all of a status, in parts.

    One alone may get an `answer`, which its next run is told on the host whose disk it lies on, and in front of its
    band; another `agent`; or just a place in `front`. Without an answer it is no longer pinned to that host.
    Times that are still ahead hold; `not_before` and `deadline` are told to one alone, 0 for none.
    """

    workspace: WorkspaceName | None = None
    status: Status | None = None
    by: Line | None = None
    cursor: Id | None = None
    answer: Text | None = None
    agent: AgentName | None = None
    front: bool | None = Field(default=None, strict=True)
    not_before: Millis | None = None
    deadline: Millis | None = None
