"""host: quiet a host, thaw it, or forget it."""

from typing import Annotated, Literal

from pydantic import Field

from coordinator.models import LuaList, Record, Refusal
from coordinator.operations._fields import Line
from coordinator.operations._operation import Operation
from coordinator.words import HostName


class HostSet(Record):
    """What the host is now, and which of its runs were queued again."""

    outcome: Literal["set"] = "set"
    host: HostName
    state: Literal["quiet", "live", "forgotten", "forgetting"]
    requeued: LuaList[str] = ()
    more: bool = False


class HostHolds(Record):
    """It still holds runs, and nobody said that it is dead."""

    outcome: Literal["refused"] = "refused"
    refusal: Refusal


class UnknownHost(Record):
    """No such host."""

    outcome: Literal["unknown"] = "unknown"
    host: HostName


HostReply = Annotated[HostSet | HostHolds | UnknownHost, Field(discriminator="outcome")]


class Host(Operation[HostReply]):
    """Quiet (no new grants), thaw, or forget a host; `dead` is the operator's word that its machine is dead."""

    host: HostName
    action: Literal["quiet", "thaw", "forget"]
    dead: bool | None = Field(default=None, strict=True)
    by: Line | None = None
