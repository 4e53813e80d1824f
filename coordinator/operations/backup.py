"""backup: what operators have set, as it stands in the keys."""

from typing import ClassVar, Literal

from pydantic import Field

from coordinator.models import FreezeView, LuaList, Record
from coordinator.operations._operation import Operation
from coordinator.operations.status import PoolRates
from coordinator.words import Millis


class Gate(Record):
    """A gate that is shut until a moment (epoch ms), and why."""

    until: Millis
    reason: str | None = None


class BackedUp(Record):
    """What a server that comes back empty is to be told again. `new`: it has no configuration; `hosts` are all.

    `blind`: it has one that was made in that epoch by a replica that remembered none, and nobody has set more since.
    """

    outcome: Literal["backup"] = "backup"
    new: bool = False
    blind: int | None = None
    epoch: int = 0
    limits: dict[str, int] = Field(default_factory=dict)
    rates: dict[str, PoolRates] = Field(default_factory=dict)
    accounts: dict[str, LuaList[str]] = Field(default_factory=dict)
    weights: dict[str, int] = Field(default_factory=dict)
    settings: dict[str, int] = Field(default_factory=dict)
    default_agent: str | None = None
    gates: dict[str, Gate] = Field(default_factory=dict)
    freezes: dict[str, FreezeView] = Field(default_factory=dict)
    frozen: bool
    freeze: FreezeView | None = None
    hosts: LuaList[str] = ()
    now: Millis


class Backup(Operation[BackedUp]):
    """What operators have set, and which hosts there are."""

    reads: ClassVar[bool] = True
