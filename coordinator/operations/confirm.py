"""confirm: a push host is about to start what it was given."""

from typing import Annotated, Literal

from pydantic import Field

from coordinator.models import Held, Record
from coordinator.operations._operation import Operation
from coordinator.operations.complete import Stale, UnknownWorkspace
from coordinator.words import Millis


class Confirmed(Record):
    """It may start, and its lease lasts `ttl` ms from now; with `kill` somebody asked to end it."""

    outcome: Literal["confirmed"] = "confirmed"
    ttl: Millis
    kill: bool = False


ConfirmReply = Annotated[Confirmed | Stale | UnknownWorkspace, Field(discriminator="outcome")]


class Confirm(Held, Operation[ConfirmReply]):
    """Say that this run is started, with its token. Asked again it renews the lease."""
