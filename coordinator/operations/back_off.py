"""back_off: shut the gate of a limit key for a while."""

from typing import Literal

from pydantic import Field

from coordinator.models import Record
from coordinator.operations._fields import Line
from coordinator.operations._operation import Operation
from coordinator.words import LimitKey, Millis


class GateSet(Record):
    """Until when the gate was and is shut (epoch ms, 0 for open)."""

    outcome: Literal["set"] = "set"
    was: Millis
    now: Millis
    woken: int = 0


class BackOff(Operation[GateSet]):
    """Nothing starts under a key until a time (epoch ms) or `for` some ms; `at_least` never moves the gate earlier."""

    key: LimitKey
    until: Millis | None = None
    duration: Millis | None = Field(default=None, alias="for")
    clear: bool | None = Field(default=None, strict=True)
    at_least: bool | None = Field(default=None, strict=True)
    reason: Line | None = None
    by: Line | None = None
