"""hosts: every host, what it serves and what it holds."""

from typing import ClassVar, Literal

from coordinator.models import HostView, LuaList, Record
from coordinator.operations._operation import Operation
from coordinator.words import Millis


class HostList(Record):
    """Every known host, by name."""

    outcome: Literal["hosts"] = "hosts"
    hosts: LuaList[HostView] = ()
    now: Millis


class Hosts(Operation[HostList]):
    """Every host."""

    reads: ClassVar[bool] = True
