"""what_if: what would start now, were other limits in force."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from coordinator.models import LuaList, Record, Refusal
from coordinator.operations._fields import Positive
from coordinator.operations._operation import Operation
from coordinator.words import Count, LimitKey

MOST = 64


class Start(Record):
    """A workspace that would start, and where."""

    workspace: str
    host: str
    agent: str = ""
    repo: str | None = None


class Kept(Record):
    """A workspace that would still wait, first of those that its key or its hosts keep."""

    workspace: str
    refusal: Refusal


class Supposed(Record):
    """What would start, in order; with `more`, not all of it. Else what would keep the next ones: all, or some each."""

    outcome: Literal["supposed"] = "supposed"
    starts: LuaList[Start] = ()
    more: bool = False
    refusal: Refusal | None = None
    kept: LuaList[Kept] = ()


class WhatIf(Operation[Supposed]):
    """What would start with these `limits`, and without those of `clear`, if every host that waits claimed at once."""

    reads: ClassVar[bool] = True
    limits: Annotated[dict[LimitKey, Count], Field(max_length=MOST)] | None = None
    clear: Annotated[tuple[LimitKey, ...], Field(max_length=MOST)] | None = None
    count: Annotated[Positive, Field(le=MOST)] | None = None
