"""docs/reference-runner.md has every row of the reference, and a test for each."""

from pathlib import Path

import pytest

from tests import reference
from tests.reference import DOCUMENT, ROWS


def document() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


def test_the_document_is_what_its_rows_and_the_marks_make_it() -> None:
    shown_by, wrong = reference.marks()
    assert [*wrong, *reference.unsound(document(), shown_by)] == []


def test_every_row_is_shown_by_a_test() -> None:
    shown_by, _ = reference.marks()
    assert reference.gaps(document(), shown_by) == []


# That these two would notice.


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("| 64 |", "| 65 |", ["row 64 is missing", "row 65 is there 2 times"]),
        ("| 83 |", "| 84 |", ["row 83 is missing", "row 84 does not exist in the reference"]),
        ("| 7 |", "| 07 |", ["row 7 is missing", "row 07 does not exist in the reference"]),
        ("| same |", "| alike |", ["write same, better: how, or not taken: why; got 'alike'"]),
        ("| better: ", "| better ", ["write same, better: how, or not taken: why; got 'better "]),
        ("| not taken: ", "| not taken ", ["write same, better: how, or not taken: why; got 'not taken "]),
        ("[", "[x", ["the last column is not what the marks say"]),
        ("83 rows: ", "84 rows: ", ["the last column is not what the marks say"]),
    ],
)
def test_a_wrong_row_is_named(old: str, new: str, said: list[str]) -> None:
    shown_by, _ = reference.marks()
    text = document()
    assert old in text
    wrong = reference.unsound(text.replace(old, new, 1), shown_by)
    for each in said:
        assert any(each in problem for problem in wrong), wrong


def test_rows_in_another_order_are_noticed() -> None:
    lines = document().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("| 1 |"))
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    wrong = reference.unsound("\n".join(lines) + "\n", reference.marks()[0])
    assert "rows are not in the order of the reference" in wrong


def test_a_mark_of_no_row_is_named() -> None:
    shown_by = {**reference.marks()[0], "W32": ["tests/test_x.py::test_y"]}
    assert reference.unsound(document(), shown_by) == ["tests/test_x.py::test_y: row W32 does not exist"]


def test_a_row_without_a_test_is_a_gap() -> None:
    known = {row.id: row for row in reference.rows(document())}
    gaps = {line.partition(":")[0] for line in reference.gaps(document(), {})}
    assert gaps == set(ROWS)
    assert not known["1"].outside
    assert reference.gaps("| T1 * | x | same | |", {"T1": ["tests/unit/test_x.py::test_y"]}) == [
        "T1: no test shows it from outside (x)"
    ]
    assert reference.gaps("| T1 * | x | same | |", {"T1": ["tests/integration/test_x.py::test_y"]}) == []


MARKED = """
import pytest
pytestmark = [pytest.mark.timeout(5), pytest.mark.reference("W1")]

@pytest.mark.reference(64, "T50")
async def test_one(): ...

@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.reference(65)), 2])
def test_two(x): ...

@pytest.mark.reference("W2")
class TestThem:
    pytestmark = pytest.mark.reference("W3")
    @pytest.mark.reference(66)
    def test_three(self): ...
    @pytest.mark.reference(67)
    def helper(self): ...

@pytest.mark.reference(*ALL)
def test_four(): ...
"""


def test_marks_are_found_wherever_pytest_finds_them_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(MARKED)
    (tmp_path / "tests" / "helping.py").write_text("@pytest.mark.reference(68)\ndef test_not(): ...\n")
    one, two, three, four = (f"tests/test_x.py::test_{name}" for name in ("one", "two", "three", "four"))
    found, wrong = reference.marks(tmp_path)
    assert found == {
        "W1": [one, two, three, four], "64": [one], "T50": [one], "65": [two], "W2": [three], "W3": [three],
        "66": [three],
    }  # fmt: skip
    assert wrong == [
        "tests/helping.py:1: this mark is on no test",
        "tests/test_x.py:16: this mark is on no test",
        "tests/test_x.py:19: write the rows into the mark as plain numbers and texts",
    ]
