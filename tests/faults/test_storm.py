"""A short storm: some thirty misfortunes over a fleet. `python -m tests.faults.storm` is the long one."""

import sys
from pathlib import Path

import pytest

from tests.faults.storm.__main__ import storm_over


@pytest.mark.skipif(sys.platform != "linux", reason="its agents read the clock in /proc")
@pytest.mark.timeout(180)
async def test_no_promise_is_broken_in_a_short_storm(tmp_path: Path) -> None:
    storm = await storm_over(tmp_path, seconds=18, seed=11, pause=0.5)
    assert [violation.text for violation in storm.violations] == []
    assert len(storm.ledger.faults) >= 8
    assert storm.told.endings >= 10
