"""Kinds of misfortune: a name, what it takes for itself, and what it does."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

Work = Callable[..., Awaitable[str]]


class Kind(NamedTuple):
    """`needs`: `host` and `replica` are one of them, given to `work`; `hosts` and `replicas` all; `server`; `rules`.

    `work` answers what exactly it was, and nothing where there was nothing to do.
    """

    name: str
    needs: tuple[str, ...]
    work: Work


def kind(kinds: list[Kind], name: str, *needs: str) -> Callable[[Work], Work]:
    """Enter a misfortune into a list of kinds."""

    def enter(work: Work) -> Work:
        kinds.append(Kind(name, needs, work))
        return work

    return enter
