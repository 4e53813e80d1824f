"""limit: the most that may run under a key."""

from typing import Literal

from pydantic import Field

from coordinator.models import Record
from coordinator.operations._fields import Line
from coordinator.operations._operation import Operation
from coordinator.words import Count, LimitKey


class LimitSet(Record):
    """The limit before and now; absent is none."""

    outcome: Literal["set"] = "set"
    was: int | None = None
    now: int | None = None
    woken: int = 0


class Limit(Operation[LimitSet]):
    """Set a key's limit (0 closes it) or `clear` it. Lowering kills nobody; raising starts at once what now fits."""

    key: LimitKey
    limit: Count | None = None
    clear: bool | None = Field(default=None, strict=True)
    by: Line | None = None
