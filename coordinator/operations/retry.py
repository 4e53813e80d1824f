"""retry: queue workspaces that have ended again."""

from coordinator.operations._fields import Id, Line
from coordinator.operations._many import Done
from coordinator.operations._operation import Operation
from coordinator.words import Status, WorkspaceName


class Retry(Operation[Done]):
    """Queue workspaces that have ended again: one, or all of a status, in parts."""

    workspace: WorkspaceName | None = None
    status: Status | None = None
    by: Line | None = None
    cursor: Id | None = None
