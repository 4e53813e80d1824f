"""explain: why is this workspace waiting."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from coordinator.models import KeyView, LuaList, Record, Refusal
from coordinator.operations._operation import Operation
from coordinator.operations.complete import UnknownWorkspace
from coordinator.words import Count, LimitKey, Millis, WorkspaceName


class Explained(Record):
    """Its status; while it waits: what refuses it, its place in line, its keys, and how many hosts serve it."""

    outcome: Literal["explained"] = "explained"
    workspace: str
    status: str = ""  # a word of Status, or what somebody wrote there by hand
    agent: str = ""
    host: str | None = None
    question: str | None = None
    refusal: Refusal | None = None
    place: int | None = None
    lanes_before: int | None = None
    aged_to: int | None = None
    route: str | None = None
    served_by: int | None = None
    deadline: Millis | None = None
    keys: LuaList[KeyView] = ()


ExplainReply = Annotated[Explained | UnknownWorkspace, Field(discriminator="outcome")]


class Explain(Operation[ExplainReply]):
    """Why a workspace waits, by the rules of claim; `what_if` puts other limits in."""

    reads: ClassVar[bool] = True
    workspace: WorkspaceName
    what_if: Annotated[dict[LimitKey, Count], Field(max_length=4096)] | None = None
