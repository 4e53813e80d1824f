"""prioritize: another priority for one that waits."""

from typing import Annotated, Literal

from pydantic import Field

from coordinator.models import Record
from coordinator.operations._fields import Line, Priority
from coordinator.operations._operation import Operation
from coordinator.operations.complete import UnknownWorkspace
from coordinator.operations.submit import AlreadyKnown
from coordinator.words import WorkspaceName


class Prioritized(Record):
    """Its priority before and now, and its place in its lane: 0 before its `not_before`."""

    outcome: Literal["prioritized"] = "prioritized"
    was: int
    now: int
    place: int


PrioritizeReply = Annotated[Prioritized | UnknownWorkspace | AlreadyKnown, Field(discriminator="outcome")]


class Prioritize(Operation[PrioritizeReply]):
    """Another priority for one that waits. It keeps its place among those of the new priority."""

    workspace: WorkspaceName
    priority: Priority
    by: Line | None = None
