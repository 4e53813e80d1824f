"""reap: end leases whose deadline passed, open gates whose time came, forget what ended long ago."""

from typing import Annotated, Literal

from pydantic import Field

from coordinator.models import LuaList, Record
from coordinator.operations._fields import Positive
from coordinator.operations._operation import Operation
from coordinator.words import Count, Millis, Status


class Lost(Record):
    """A run whose lease ran out, and what became of its workspace."""

    workspace: str
    host: str | None = None
    status: Status


class Reaped(Record):
    """What was lost, which gates opened, how many were forgotten, and when something falls due next (ms from now).

    `new`: there is no configuration.
    """

    outcome: Literal["reaped"] = "reaped"
    lost: LuaList[Lost] = ()
    opened: LuaList[str] = ()
    forgotten: int = 0
    next_due: Millis | None = None
    more: bool = False
    new: bool = False


class Reap(Operation[Reaped]):
    """Do what time has made due, up to `limit` of each kind. Any replica may ask at any time.

    `faults`: so many were found by a walk over all keys, for `status` to show.
    """

    limit: Annotated[Positive, Field(le=256)] | None = None
    faults: Count | None = None
