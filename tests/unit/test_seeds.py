"""A seed means the same in every process, whatever else it has imported."""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as any_


def drawn() -> list[int]:
    """What one seed draws: enough that some of it would be constants of the code."""
    found: list[int] = []

    @seed(1)
    @settings(database=None, max_examples=400, suppress_health_check=list(HealthCheck))
    @given(any_.integers(0, 10**12))
    def draw(number: int) -> None:
        found.append(number)

    draw()
    return found


def test_what_is_imported_changes_no_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = drawn()
    (tmp_path / "imported_since.py").write_text("NUMBERS = (987654321, 876543219, 765432198)\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("imported_since")
    assert "imported_since" in sys.modules
    assert drawn() == before
