"""Moments as people type them."""

import time
from collections.abc import Iterator

import pytest

from coordinator.doors.moments import moment
from coordinator.errors import InvalidQuestion

NOW = 1_795_531_500_250  # 2026-11-24T14:45:00.250Z


@pytest.fixture(autouse=True)
def in_berlin() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("+2h", NOW + 7_200_000),
        ("90", NOW + 90_000),
        ("1h30m", NOW + 5_400_000),
        ("18:30", 1_795_541_400_000),
        ("15:46", 1_795_531_560_000),
        ("15:45", 1_795_531_500_000 + 86_400_000),  # that was a moment ago: tomorrow
        ("6:05", 1_795_583_100_000),
        ("2026-11-24T18:30:00Z", 1_795_545_000_000),
        ("2026-11-24T18:30:00+01:00", 1_795_541_400_000),
        ("2026-11-24T18:30:00", 1_795_541_400_000),
        ("2026-11-25", 1_795_561_200_000),
    ],
)
def test_each_form_is_read(text: str, then: int) -> None:
    assert moment("--until", text, NOW) == then


@pytest.mark.parametrize(
    "text", ["", "soon", "24:00", "18:3", "18:60", "-5m", "1969-01-01", "9999-12-31", "+9999999d", "²"]
)
def test_what_is_no_moment_is_named(text: str) -> None:
    with pytest.raises(InvalidQuestion, match="must be a moment such as"):
        moment("--until", text, NOW)
