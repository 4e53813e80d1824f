"""The checker of what agents did, on marks made by hand: each broken promise is seen, and nothing else is said."""

from pathlib import Path

import pytest

from tests import record
from tests.marks import Mark


def marks(*said: str) -> list[Mark]:
    """`+1a` is the start of token 1 of workspace a, `-1a` its end; agents are `codex:m`."""
    names = {"+": "start", "-": "end"}
    return [Mark(names[one[0]], one[1:-1], one[-1], "codex:m", 0) for one in said]


@pytest.mark.parametrize(
    ("said", "limit", "broken"),
    [
        ("+1a -1a +2b -2b", 1, ""),
        ("+1a +2b -1a -2b", 2, ""),
        ("+1a +2b +3c -3c -2b -1a", 3, ""),
        ("+1a +2b -1a -2b", 1, "2 ran at once under"),
        ("+1a +2a -2a", 1, ""),  # the first was killed
        ("+1a +2a -1a -2a", 9, "a ran to its end 2 times"),
        ("+1a -1a +2a -2a", 9, "a ran to its end 2 times"),
        ("+1a +2a -1a", 9, "a ran twice at the same time, tokens 1 and 2"),
        ("+1a -1a +2a", 9, "a was started again after its end"),
        ("+1a +1a -1a", 9, "a: one token was started twice"),
        ("+2a +1a -1a", 9, "a: a run began after one of a higher token"),
        ("+1a", 9, "a ran to its end 0 times"),
    ],
)
def test_what_is_broken_is_said(said: str, limit: int, broken: str) -> None:
    seen = marks(*said.split())
    found = record.broken(seen, {"codex": limit}, {mark.workspace for mark in seen})
    assert bool(found) == bool(broken), found
    assert any(broken in one for one in found) or not broken


def test_a_workspace_that_never_ran_and_one_that_nobody_asked_for_are_said() -> None:
    found = record.broken(marks("+1a", "-1a"), {}, ["b"])
    assert found == ["a ran and nobody asked for it", "b ran to its end 0 times, tokens []"]


def test_one_that_never_said_its_end_is_told_and_does_not_count_for_ever() -> None:
    seen = marks("+1a", "+2b", "-2b", "+3c", "-3c", "+4a", "-4a")
    assert [run.token for run in record.killed(seen)] == ["1"]
    assert record.most_at_once(seen) == {"*": 1, "codex": 1, "codex:m": 1}


def test_the_order_of_the_file_counts_and_half_a_line_does_not(tmp_path: Path) -> None:
    (tmp_path / "marks").write_text("start 1 a codex 9\nend 1 a codex 3\nstart 2 b co")
    assert [(mark.what, mark.ns) for mark in record.written(tmp_path / "marks")] == [("start", 9), ("end", 3)]
