"""Sessions: the memory that an agent's own program keeps of a run, on the host and under the account where that was."""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

#: What the known programs take for the id of a session, and nothing that they could take for an option.
UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Session(NamedTuple):
    """The session a run is in: a new one under an id of ours, or one that `goes_on`."""

    id: str
    goes_on: bool = False


class Habits(NamedTuple):
    """How a program keeps its sessions."""

    #: Arguments by which an operator chooses the session himself, or has none kept.
    options: tuple[str, ...]
    #: The id in what the program printed; None for a program that takes an id of ours.
    named: Callable[[str], str | None] | None = None

    def left_to_us(self, args: tuple[str, ...]) -> bool:
        """Whether an operator's arguments say nothing of sessions."""
        return not any(arg.partition("=")[0] in self.options for arg in args)
