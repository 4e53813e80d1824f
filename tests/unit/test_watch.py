"""What a guard takes for an agent that does nothing."""

import time
from pathlib import Path

import pytest

from tests.guarding import Host
from tests.waiting import wait_until_sync
from workers.output import Output
from workers.watch import Watch


def test_nobody_is_stalled_by_a_clock_that_was_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that change have earlier times then than when it was last seen to do something."""
    run = Host(tmp_path, tmp_path).run(7, stalled_ms=1)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    watch = Watch(run, Output(run.log))
    monkeypatch.setattr(time, "time", lambda: now)
    wait_until_sync(lambda: watch.wait_ms() == 0, "a look is due")
    assert watch.look() is None
