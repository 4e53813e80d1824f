"""What a guard takes for an agent that does nothing."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.guarding import Host
from tests.scarce import descriptors
from tests.waiting import wait_until_sync
from workers import usage
from workers.changes import changed_since
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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be told to give a process next to nothing")
def test_nobody_is_stalled_who_waits_for_a_processor(tmp_path: Path) -> None:
    """Of the one that both have, the agent gets what this test leaves: nothing."""
    run, ours = Host(tmp_path, tmp_path).run(7, stalled_ms=1000), os.sched_getaffinity(0)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as agent:
        try:
            for pid in (0, agent.pid):
                os.sched_setaffinity(pid, {min(ours)})
            os.sched_setscheduler(agent.pid, os.SCHED_IDLE, os.sched_param(0))
            watch = Watch(run, Output(run.log))
            for _ in range(3):
                while watch.wait_ms():
                    pass
                assert watch.look() is None
        finally:
            os.sched_setaffinity(0, ours)
            agent.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a look needs no descriptor")
def test_nobody_is_stalled_whom_nobody_can_look_at_for_want_of_descriptors(tmp_path: Path) -> None:
    run = Host(tmp_path, tmp_path).run(7, stalled_ms=1)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as agent:
        try:
            watch = Watch(run, Output(run.log))
            with descriptors(0):
                for _ in range(2):
                    wait_until_sync(lambda: watch.wait_ms() == 0, "a look is due")
                    assert watch.look() is None
                watch.begin()
                assert list(changed_since(tmp_path, time.time() + 3600)) == [True]
            wait_until_sync(lambda: watch.wait_ms() == 0, "a look is due")
            assert watch.look() is None
        finally:
            agent.kill()
    wait_until_sync(lambda: bool(watch.look()), "what does nothing is seen again")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody expects a list")
def test_a_process_that_ends_as_it_is_looked_at_has_no_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel keeps no lists of children; the one that is asked for them is gone by then."""
    monkeypatch.setattr(usage, "_LISTED", False)
    asked = psutil.Process.children

    def children(process: psutil.Process) -> list[psutil.Process]:
        if process.pid != os.getpid():
            raise psutil.NoSuchProcess(process.pid)
        return asked(process)

    monkeypatch.setattr(psutil.Process, "children", children)
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            assert usage.below().memory > 0
        finally:
            child.kill()
