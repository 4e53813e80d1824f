"""The library's text as the model runs it: its clock is a key, and its bounds may be tight."""

from typing import Final

from coordinator import library
from tests.model.plant import Plant

_CLOCK: Final = "local time = redis.call('TIME')"
_KEY_CLOCK: Final = (
    "local ms = redis.call('GET', root .. ':clock') local time = { math.floor(ms / 1000), ms % 1000 * 1000 }"
)

#: What a call does at most, made small enough for a handful of workspaces to reach it: (old, new, how often).
_TIGHT: Final = (
    ("local MOST_EXAMINED = 64", "local MOST_EXAMINED = 2", 1),
    ("local MOST_GRANTED = 16", "local MOST_GRANTED = 3", 1),
    ("verb.tidy(8)", "verb.tidy(1)", 2),
    ("offers.serve(8)", "offers.serve(1)", 1),
    ("local MOST_REOPENED = 64", "local MOST_REOPENED = 1", 1),
    ("history.MOST = 16", "history.MOST = 2", 1),
    ("local MOST_STEPS = 16", "local MOST_STEPS = 2", 1),
)


def changed(text: str, old: str, new: str, times: int = 1) -> str:
    """`text` with `old` replaced, which must be there exactly `times`."""
    found = text.count(old)
    assert found == times, f"{old!r} is in the library {found} times, not {times}: write it as it is there"
    return text.replace(old, new)


def text(*, tight: bool = False, plant: Plant | None = None) -> str:
    """The library with the model's clock; with `tight` bounds; with a planted bug."""
    return as_run(changed(library.TEXT, plant.old, plant.new) if plant else library.TEXT, tight=tight)


def as_run(built: str, *, tight: bool, exact: bool = True) -> str:
    """A library's text with the model's clock and maybe `tight` bounds; what is not there `exact`ly may be missing."""
    for old, new, times in ((_CLOCK, _KEY_CLOCK, 1), *(_TIGHT if tight else ())):
        built = changed(built, old, new, times) if exact else built.replace(old, new)
    return built
