"""mend: put right what disagrees with the records, where they prove it."""

from typing import Annotated, Literal

from pydantic import Field

from coordinator.models import LuaList, Record, Refusal
from coordinator.operations._fields import Id, Line, PathText
from coordinator.operations._operation import Operation
from coordinator.operations.faults import MOST_KEYS, Fault


class Mended(Record):
    """What was found in this part, and how many of it were mended. Ask again with `cursor` while there is `more`."""

    outcome: Literal["mended"] = "mended"
    found: LuaList[Fault] = ()
    count: int
    cursor: str | None = None
    more: bool = False


class NotMended(Record):
    """The hosts have not told what they hold: nothing can be proved."""

    outcome: Literal["refused"] = "refused"
    refusal: Refusal


class Mend(Operation[Annotated[Mended | NotMended, Field(discriminator="outcome")]]):
    """Mend what is wrong with keys (names without the root) and what they hold, a part a call."""

    keys: Annotated[list[PathText], Field(max_length=MOST_KEYS)]
    cursor: Id | None = None
    by: Line | None = None
