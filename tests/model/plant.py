"""A bug to plant in the library."""

from typing import NamedTuple


class Plant(NamedTuple):
    """A one-line change of the library and what it breaks."""

    name: str
    breaks: str
    old: str
    new: str
