"""`reset_utc`: the time of day at which a provider's quota begins anew, as the reference runner reads it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from coordinator.errors import Problem
from coordinator.problems import path
from coordinator.words import shown, wrong

_PLAIN: Final = re.compile(r"([01]?[0-9]|2[0-3]):[0-5][0-9]")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")  # what a 64-bit number holds, whatever its digits
_HOUR, _MINUTE = 6, 0  # where the file says nothing that can be read
_MINUTES: Final = 24 * 60


def clock(value: Any) -> str:
    """HH:MM of a reset: what can not be read is 06 and 00, and what is out of range rolls over. Raises a ValueError."""
    if value is not None and not isinstance(value, str | int):
        raise wrong(f"must be a time of day in UTC such as 06:00, got {shown(value)}", 'write "06:00"')
    parts = str("" if value is None else value).split(":")
    hour, minute = (_number(parts[0], _HOUR), _number(parts[1], _MINUTE)) if len(parts) > 1 else (_HOUR, _MINUTE)
    hour, minute = divmod((hour * 60 + minute) % _MINUTES, 60)
    return f"{hour:02}:{minute:02}"


def oddities(pool: str, given: object) -> Iterator[Problem]:
    """A warning where a pool's reset is not written as a plain time of day: what it is taken as."""
    if not isinstance(given, Mapping) or "reset_utc" not in given:
        return
    value = given["reset_utc"]
    if not isinstance(value, str) or not _PLAIN.fullmatch(value):
        taken = clock(value)
        yield Problem(path("rates", pool, "reset_utc"), f"{shown(value)} is taken as {taken}", f'write "{taken}"')


def _number(text: str, default: int) -> int:
    text = text.strip()
    return int(text) if _WHOLE.fullmatch(text) else default
