"""Durations and sizes as people write them, in whole milliseconds and bytes."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator

from coordinator.words import NUMBER_END, shown, wrong

SHORTEST: Final = 100  # of beats, leases and timeouts, as in the library: a shorter one would only spin
SMALLEST_LOG: Final = 128 << 10  # bytes; half of it is the beginning, which says what session an agent is in
_NUMBER: Final = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_PART: Final = re.compile(rf"({_NUMBER})(ns|us|µs|μs|ms|s|m|h|d)")  # both signs for micro are in use
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+")
_MILLIS: Final = {
    "ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000,
}  # fmt: skip
_SIZE: Final = re.compile(rf"({_NUMBER})([KMGT]?)(?:i?B)?", re.IGNORECASE)
_BYTES: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_LONGEST_TEXT: Final = 60


def millis(value: object, *, unit: int = 1000) -> int:
    """Milliseconds of a duration as Go writes them ("1h30m", "250ms"), or with days ("30d").

    A bare number counts `unit` milliseconds each. Raises a ValueError that says what is allowed.
    """
    found: float | None = None
    text = value if isinstance(value, str) and len(value) <= _LONGEST_TEXT else ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = value * unit
    elif re.fullmatch(_NUMBER, text):
        found = float(text) * unit
    elif _DURATION.fullmatch(text):
        found = sum(float(number) * _MILLIS[name] for number, name in _PART.findall(text))
    if found is None or not 0 <= found < NUMBER_END - 1:
        bare = "seconds" if unit == 1000 else "hours"
        raise wrong(f"must be a duration such as 90s or 1h30m, or a number of {bare}, got {shown(value)}", "write 90s")
    return round(found)


def size(value: object) -> int:
    """Bytes of a size such as "512M" or "2G" (powers of 1024); a bare number is bytes. Raises a ValueError."""
    text = value if isinstance(value, str) else shown(value) if isinstance(value, int) else ""
    match = _SIZE.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    found = float(match[1]) * _BYTES[match[2].upper()] if match else 0
    if not 1 <= found < NUMBER_END - 1:
        raise wrong(f"must be a size such as 512M or 2G, got {shown(value)}", "write 2G")
    return round(found)


def written(duration: int) -> str:
    """Milliseconds as a duration that `millis` reads back: 90000 is 1m30s."""
    rest, text = duration, ""
    for name in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, int(_MILLIS[name]))
        text += f"{count}{name}" if count else ""
    return text or "0s"


def _hours(value: object) -> int:
    return millis(value, unit=3_600_000)


def _some(value: int) -> int:
    if value < SHORTEST:
        raise wrong(f"must be at least {written(SHORTEST)}", "write 90s")
    return value


def _large(value: int) -> int:
    if value < SMALLEST_LOG:
        raise wrong(f"must be at least {SMALLEST_LOG} bytes", "write 64M")
    return value


Duration = Annotated[int, BeforeValidator(millis)]
SomeTime = Annotated[int, BeforeValidator(millis), AfterValidator(_some)]
Hours = Annotated[int, BeforeValidator(_hours)]  # a bare number counts hours
Size = Annotated[int, BeforeValidator(size)]
SomeSize = Annotated[int, BeforeValidator(size), AfterValidator(_large)]
