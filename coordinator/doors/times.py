"""Times for people: `3m ago`, `in 25m`, `1m05s`, `12:03:04`. All are epoch or plain milliseconds."""

import time
from itertools import pairwise

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def ago(then: int | None, now: int) -> str:
    """How long ago; empty for never."""
    return "" if then is None else f"{_one_unit(now - then)} ago"


def ahead(then: int | None, now: int) -> str:
    """How long from now; empty for never."""
    return "" if then is None else f"in {_one_unit(then - now + 999)}"


def span(millis: int) -> str:
    """How long, in at most two units; less than a second in milliseconds."""
    if millis < 1000:
        return f"{max(millis, 0)}ms"
    seconds = millis // 1000
    for (name, size), (lower, part) in pairwise(_UNITS):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size}{name}" + (f"{rest:02}{lower}" if rest else "")
    return f"{seconds}s"


def clock(then: int) -> str:
    """The local time of day; with the date when it is not today."""
    moment = time.localtime(then / 1000)
    today = moment[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S", moment)


def _one_unit(millis: int) -> str:
    seconds = max(millis, 0) // 1000
    for name, size in _UNITS:
        if seconds >= size:
            return f"{seconds // size}{name}"
    return "0s"
