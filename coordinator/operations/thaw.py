"""thaw: grants again."""

from typing import Literal

from coordinator.models import Record
from coordinator.operations._fields import Line
from coordinator.operations._operation import Operation
from coordinator.words import LimitKey


class Thawed(Record):
    """Grants are made again; `woken` hosts were poked."""

    outcome: Literal["thawed"] = "thawed"
    key: str
    woken: int = 0


class Thaw(Operation[Thawed]):
    """Grants again under a key (everything by default)."""

    key: LimitKey | None = None
    by: Line | None = None
