"""faults: what disagrees with the records among some keys. Read-only."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from coordinator.models import LuaList, Record
from coordinator.operations._fields import Id, PathText
from coordinator.operations._operation import Operation
from coordinator.words import Millis

MOST_KEYS: Final = 128
FaultClass = Literal["leaked", "doubled", "orphaned"]


class Fault(Record):
    """One entry of a key that disagrees with the records, and the kind of its mend where the records prove it.

    leaked: nobody owns it. doubled: a second place of what has one. orphaned: what its own place does not know.
    `until`: when a lease ends that speaks against mending it before. `mended`: by this call.
    """

    klass: FaultClass = Field(alias="class")
    key: str
    workspace: str | None = None
    text: str
    mend: str | None = None
    until: Millis | None = None
    mended: bool = False


class FaultsFound(Record):
    """A part of what is wrong with these keys; ask again with `cursor`. `settling`: hosts have still to tell theirs."""

    outcome: Literal["faults"] = "faults"
    found: LuaList[Fault] = ()
    cursor: str | None = None
    settling: Millis | None = None


class Faults(Operation[FaultsFound]):
    """Look at keys (names without the root) and at what they hold, a part a call."""

    reads: ClassVar[bool] = True
    keys: Annotated[list[PathText], Field(max_length=MOST_KEYS)]
    cursor: Id | None = None
