"""The answer of verbs that go over many workspaces in parts."""

from typing import Literal

from coordinator.models import Record


class Done(Record):
    """How many were changed by this part. Ask again with `cursor` while there is `more`."""

    outcome: Literal["done"] = "done"
    count: int
    cursor: str | None = None
    more: bool = False
