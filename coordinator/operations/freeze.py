"""freeze: no grants, remembered."""

from typing import Literal

from coordinator.models import Record
from coordinator.operations._fields import Line
from coordinator.operations._operation import Operation
from coordinator.words import LimitKey, Millis


class Frozen(Record):
    """Nothing more starts under this key."""

    outcome: Literal["frozen"] = "frozen"
    key: str


class Freeze(Operation[Frozen]):
    """No grants under a key (everything by default) until thaw, or until a time (epoch ms). What runs goes on."""

    key: LimitKey | None = None
    by: Line | None = None
    reason: Line | None = None
    until: Millis | None = None
