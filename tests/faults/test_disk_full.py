"""A disk that is full, and needs room also for what is written over: what runs goes on, and its ending is not lost."""

import asyncio
import os
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from coordinator.errors import GuardError
from tests.guarding import LONG_MS, Host, a_host, steady
from tests.scarce import limited
from tests.waiting import wait_until
from workers.clock import boot_ms
from workers.held import Held

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no limit of another process can be set")


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with a_host(tmp_path) as host:
        yield host


def _full_for(pid: int) -> AbstractContextManager[None]:
    """That process can write to no file meanwhile."""
    return limited(psutil.Process(pid), resource.RLIMIT_FSIZE, 0)


async def test_a_beat_that_can_write_nothing_stops_for_no_run(host: Host) -> None:
    guard = await host.start(7, "sleep=60000")
    held = Held.adopted(guard)
    before = boot_ms()
    with _full_for(os.getpid()):
        held.renewed(before + LONG_MS, lost=False, goes_on=True)
        held.enforce()
        with pytest.raises(GuardError, match="slip of token 7"):
            guard.extend(before + LONG_MS)
    held.renewed(before + 2 * LONG_MS, lost=False, goes_on=True)
    assert guard.state() == "running"


async def test_a_guard_that_can_write_nothing_stills_its_tree_and_lets_it_go_on(host: Host) -> None:
    guard = await host.start(7, "ticks=ticks")
    await wait_until((host.path / "ticks").exists, "the agent works")
    agent = psutil.Process(guard.pid)
    with _full_for(host.guard_of(guard).pid):
        guard.extend(boot_ms())
        await wait_until(lambda: agent.status() == psutil.STATUS_STOPPED, "its agent stands still")
        await steady(agent.status, "and does not move", 120)
    await wait_until(lambda: guard.state() == "stilled", "that is known when there is room")
    guard.extend(boot_ms() + LONG_MS)
    ticks = len(host.text("ticks"))
    await wait_until(lambda: len(host.text("ticks")) > ticks + 20, "the agent goes on")


async def test_an_ending_that_can_not_be_written_is_told_when_it_can(host: Host) -> None:
    argv = ("sh", "-c", "while [ ! -e go ]; do sleep 0.02; done; exit 3")
    guard = await host.start(7, argv=argv)
    with _full_for(host.guard_of(guard).pid):
        (host.path / "go").touch()
        ending = asyncio.ensure_future(guard.ended())
        await wait_until(lambda: not host.living(guard), "the agent has ended")
        await steady(ending.done, "nobody says how", 120)
    assert (await ending).code == 3
