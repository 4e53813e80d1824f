"""renew: a host's beat."""

from typing import Annotated, Literal

from pydantic import Field

from coordinator.models import Grant, Held, LuaList, Record
from coordinator.operations._fields import Id, Line
from coordinator.operations._operation import Operation
from coordinator.operations.complete import HoldersEnding
from coordinator.words import AgentName, Count, HostName, Label, Millis


class Renewed(Record):
    """Leases last `ttl` ms; beat again in `beat` ms. Runs the host has lost, must end, or never received.

    With another `epoch` than before the registry may have lost what it knew: `unknown` are runs whose grant it has
    forgotten, for a host that can restore them. `still`: an agent that stands still must go on doing so, since others
    may have its slots: the registry has not heard all hosts yet, or not yet how many may run.
    """

    outcome: Literal["renewed"] = "renewed"
    ttl: Millis
    beat: Millis = 10_000
    kill_grace: Millis = 15_000
    lost: LuaList[str] = ()
    kill: LuaList[str] = ()
    unseen: LuaList[Grant] = ()
    unknown: LuaList[str] = ()
    epoch: Count | None = None
    still: bool = False


class Taken(Record):
    """Another machine beats under this host name; it goes silent in `retry_in` ms at the earliest."""

    outcome: Literal["taken"] = "taken"
    host: HostName
    machine: str
    retry_in: Millis


RenewReply = Annotated[Renewed | Taken, Field(discriminator="outcome")]


class Renew(Operation[RenewReply]):
    """Register a host, move its leases on, repeat its endings.

    `epoch`: in which the host last told all that it holds (0: in none), from one that can `restore`.
    `trouble`: why it takes no work just now.
    """

    host: HostName
    incarnation: Id
    machine: Id | None = None
    pools: Annotated[list[AgentName], Field(max_length=64)] | None = None
    labels: Annotated[list[Label], Field(max_length=64)] | None = None
    slots: Annotated[Count, Field(le=1024)] | None = None
    mode: Literal["pull", "push"] | None = None
    trouble: Line | None = None
    held: Annotated[list[Held], Field(max_length=1024)] | None = None
    endings: Annotated[list[HoldersEnding], Field(max_length=256)] | None = None
    epoch: Count | None = None
