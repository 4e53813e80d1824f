"""Durations and sizes as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.config.measures import millis, size, written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[("60m", 3_600_000), ("90s", 90_000), ("1h30m", 5_400_000), ("30m0s", 1_800_000), ("1.5h", 5_400_000)],
        *[("30d", 2_592_000_000), ("1d12h", 129_600_000), ("0.5d", 43_200_000)],
        *[("250ms", 250), ("1500us", 2), ("2000µs", 2), ("2000μs", 2), ("1000000ns", 1), ("0", 0), ("0s", 0)],
        *[(90, 90_000), (1.5, 1500), ("1.5", 1500), (".5s", 500), ("1.s", 1000)],
    ],
)
def test_a_duration_is_go_like_or_a_number_of_seconds(text: object, expected: int) -> None:
    assert millis(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *["", "s", "-5s", "5 s", "5w", "1h 30m", "5m3", "soon", "٣s", "nan", "inf", "1e3", "9" * 70, "9" * 59 + "h"],
        *[-1, True, None, [], float("nan"), float("inf"), 10**20, 10**400],
    ],
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be a duration such as 90s or 1h30m, or a number of seconds, got "):
        millis(text)


@pytest.mark.parametrize(
    ("duration", "text"), [(2_592_000_000, "30d"), (90_000_000, "1d1h"), (86_399_000, "23h59m59s")]
)
def test_a_long_duration_is_written_in_days(duration: int, text: str) -> None:
    assert written(duration) == text


@given(st.integers(0, 10**13))
def test_a_written_duration_reads_back(duration: int) -> None:
    assert millis(written(duration)) == duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [("512M", 512 * 2**20), ("2G", 2**31), ("1.5GiB", 3 * 2**29), ("4kb", 4096), (100, 100), ("7", 7)],
)
def test_a_size_has_a_unit_of_1024s(text: object, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize(
    "text", ["", "G", "-1G", 0, -5, "much", "2 G", True, None, [], 10**400, "9" * 61, "9" * 50 + "T"]
)
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be a size such as 512M or 2G, got "):
        size(text)
