"""push: tell a notification on a channel, once for each id."""

from typing import Annotated, Literal

from pydantic import Field

from coordinator.models import Record
from coordinator.operations._fields import Channel, Id, JsonText
from coordinator.operations._operation import Operation


class Pushed(Record):
    """It was told; `seq` is the id of its fact."""

    outcome: Literal["pushed"] = "pushed"
    seq: str


class AlreadyPushed(Record):
    """Somebody told it under this id within the last minute; nothing was changed."""

    outcome: Literal["already"] = "already"


PushReply = Annotated[Pushed | AlreadyPushed, Field(discriminator="outcome")]


class Push(Operation[PushReply]):
    """Tell `data`, the text of one JSON value (null when absent), on a channel; without an id, each time."""

    channel: Channel
    data: JsonText | None = None
    id: Id | None = None
