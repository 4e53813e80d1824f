"""claim: hand a host as many waiting workspaces as it has room for."""

from typing import Literal

from coordinator.models import Grant, LuaList, Question, Record, Refusal
from coordinator.operations._fields import Id, Positive
from coordinator.operations._operation import Operation
from coordinator.words import Count, HostName, Millis


class Claimed(Record):
    """What the host may start now; why not more; when time alone may change that (ms from now)."""

    outcome: Literal["claimed"] = "claimed"
    grants: LuaList[Grant] = ()
    refusal: Refusal | None = None
    retry_in: Millis | None = None
    more: bool = False


class Asking(Question):
    """Who asks, and for how many (all free slots by default). The last `seq` gets the same answer again."""

    host: HostName
    incarnation: Id
    seq: Positive
    count: Count | None = None


class Claim(Asking, Operation[Claimed]):
    """Ask for work. The host must have beaten (renew) as this incarnation."""
