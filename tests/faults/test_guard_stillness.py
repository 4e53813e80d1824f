"""No agent acts beyond its lease: its tree is stilled in time, goes on when the lease does, and is killed with it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.guarding import Host, a_host, steady
from tests.waiting import POLL, wait_until
from workers.clock import boot_ms
from workers.guarded import Guard
from workers.slip import Slip

TICKING = ("child=ticks=ticks", "daemon=ticks=ticks", "ticks=ticks")


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with a_host(tmp_path) as host:
        yield host


def size(host: Host) -> int:
    return len(host.text("ticks"))


async def stilled(guard: Guard) -> None:
    await wait_until(lambda: guard.state() == "stilled", "the tree is stilled")


async def goes_on(host: Host) -> None:
    before = size(host)
    await wait_until(lambda: size(host) > before + 20, "the agent writes")


async def test_a_tree_writes_nothing_after_its_lease_and_goes_on_when_it_is_extended(host: Host) -> None:
    deadline = boot_ms() + 1500
    guard = await host.guards.start(host.run(7, *TICKING, kill_grace_ms=1000), deadline)
    await goes_on(host)
    assert guard.state() == "running"
    await stilled(guard)
    with Slip.open(guard.path) as slip:
        assert deadline - 1000 <= slip.state()[1] < deadline
    assert len(host.living(guard)) == 3
    assert {each.state for each in host.living(guard)} == {"stopped"}
    await steady(lambda: size(host), "ticks of a stilled tree")
    guard.extend(boot_ms() + 60_000)
    await wait_until(lambda: guard.state() == "running", "the tree goes on")
    await goes_on(host)
    assert "stopped" not in {each.state for each in host.living(guard)}


async def test_a_lease_that_is_extended_in_time_is_never_felt(host: Host) -> None:
    guard = await host.start(7, "ticks=ticks", lease_ms=500)
    for _ in range(4):
        guard.extend(boot_ms() + 500)
        until = boot_ms() + 150
        while boot_ms() < until:
            assert guard.state() == "running"
            await asyncio.sleep(POLL)


async def test_an_extension_into_the_past_stills_the_tree(host: Host) -> None:
    guard = await host.start(7, "ticks=ticks")
    guard.extend(boot_ms())
    await stilled(guard)  # at the next tick: no hint is given for a running tree


async def test_a_lost_lease_kills_without_grace(host: Host) -> None:
    guard = await host.start(7, "trap=INT:4", "trap=TERM:5", "mark=marks:ready", "sleep=60000", kill_grace_ms=20_000)
    await wait_until(lambda: host.text("marks"), "the agent is ready")
    guard.end("lost")
    ending = await guard.ended()
    assert (ending.reason, ending.code, ending.signal) == ("lost", None, signal.SIGKILL)


async def test_a_stilled_tree_that_lost_its_lease_does_not_move_again(host: Host) -> None:
    guard = await host.start(7, "trap=INT:4", *TICKING[:2], "mark=marks:whole", *TICKING[2:])
    await wait_until(lambda: host.text("marks"), "the whole tree is there")
    guard.extend(boot_ms())
    await stilled(guard)
    before = size(host)
    guard.end("killed")
    ending = await guard.ended()
    assert (ending.reason, ending.code, ending.signal) == ("killed", None, signal.SIGKILL)
    assert [each.by for each in ending.receipt] == ["KILL"] * 3
    assert size(host) == before


async def test_a_tree_is_not_parked_for_ever(host: Host) -> None:
    begun = boot_ms()
    guard = await host.start(7, *TICKING, lease_ms=400, park_max_ms=200)
    ending = await guard.ended()
    assert (ending.reason, ending.signal) == ("lost", signal.SIGKILL)
    assert boot_ms() - begun >= 290


async def test_a_lease_that_is_as_good_as_over_starts_nothing(host: Host) -> None:
    with pytest.raises(Exception, match="token 7 is over before its agent could start"):
        await host.start(7, "mark=marks:started", lease_ms=300)
    assert host.guards.found() == []
    guard = await host.start(7, "mark=marks:started")  # the token is not spent
    assert (await guard.ended()).code == 0


async def test_stilled_time_does_not_count_towards_the_time_limit(host: Host) -> None:
    guard = await host.start(7, "ticks=ticks", lease_ms=1000, timeout_ms=900)
    await stilled(guard)
    parked_until = boot_ms() + 1000
    await wait_until(lambda: boot_ms() > parked_until, "it was parked longer than its time limit")
    guard.extend(boot_ms() + 60_000)
    await goes_on(host)
    ending = await guard.ended()
    assert ending.reason == "timeout"
    assert ending.ended_at - ending.started_at >= 1880


async def test_the_worker_acts_for_a_guard_that_stands_still_itself(host: Host) -> None:
    guard = await host.start(7, *TICKING, lease_ms=900)
    await goes_on(host)
    process = host.guard_of(guard)
    process.suspend()
    assert not guard.enforce()  # there is time yet
    await wait_until(guard.enforce, "the worker had to act")
    assert {each.state for each in host.living(guard)} == {"stopped"}
    await steady(lambda: size(host), "ticks of a stilled tree")
    assert not guard.enforce()
    await wait_until(lambda: process.status() != psutil.STATUS_STOPPED, "the guard was woken")
    guard.extend(boot_ms() + 60_000)
    await goes_on(host)
    assert guard.state() == "running"


async def test_an_extension_wakes_a_guard_that_was_stopped_with_its_tree(host: Host) -> None:
    guard = await host.start(7, "ticks=ticks", lease_ms=500)
    await stilled(guard)
    host.guard_of(guard).suspend()
    guard.extend(boot_ms() + 60_000)
    await goes_on(host)


async def test_no_grace_reaches_beyond_the_lease(host: Host) -> None:
    guard = await host.start(7, "ignore=INT,TERM", "mark=marks:ready", "sleep=60000", lease_ms=1200)
    await wait_until(lambda: host.text("marks"), "the agent is ready")
    guard.end("killed", grace_ms=60_000)
    ending = await asyncio.wait_for(guard.ended(), 8)
    assert (ending.reason, ending.signal) == ("killed", signal.SIGKILL)


async def test_the_worker_ends_a_guard_that_is_long_late_with_an_ending(host: Host) -> None:
    guard = await host.start(7, "ignore=INT,TERM", "sleep=60000")
    host.guard_of(guard).suspend()
    with Slip.open(guard.path) as slip:
        slip.give_order("killed", 300, boot_ms() - 5000)
        assert not guard.enforce()
        slip.give_order("killed", 300, boot_ms() - 6000)
    assert guard.enforce()
    ending = await guard.ended()
    assert ending.reason == "killed"


async def test_an_order_that_each_beat_repeats_gives_a_late_guard_no_more_time(host: Host) -> None:
    """Else an agent that stops its guard again and again would outlive every kill."""
    guard = await host.start(7, "ignore=INT,TERM", "mark=marks:ready", "sleep=60000")
    await wait_until(lambda: host.text("marks"), "the agent is ready")
    with Slip.open(guard.path) as slip:
        guard.end("killed", grace_ms=50_000)
        first = slip.order()
        assert first
        await wait_until(lambda: boot_ms() > first[2], "it is later")
        guard.end("killed", grace_ms=50_000)
        assert slip.order() == first
        guard.end("killed", grace_ms=0)
    assert (await guard.ended()).signal == signal.SIGKILL


async def test_the_worker_ends_a_guard_that_is_long_late_with_a_parked_tree(host: Host) -> None:
    guard = await host.start(7, "sleep=60000", park_max_ms=500)
    host.guard_of(guard).suspend()
    with Slip.open(guard.path) as slip:
        slip.set_state("stilled", boot_ms() - 5000)
        assert not guard.enforce()
        slip.set_state("stilled", boot_ms() - 6000)
    assert guard.enforce()
    assert (await guard.ended()).reason == "lost"


async def test_a_waiting_guard_uses_hardly_any_time(host: Host) -> None:
    guard = await host.start(7, "sleep=60000")
    process = host.guard_of(guard)
    before, seconds = sum(process.cpu_times()[:2]), 1.5
    until = boot_ms() + seconds * 1000
    await wait_until(lambda: boot_ms() > until, "it has waited")
    assert sum(process.cpu_times()[:2]) - before <= 0.01 * seconds


async def test_an_extension_writes_in_place(host: Host) -> None:
    guard = await host.start(7, "sleep=60000")
    before = guard.path.stat()
    for seconds in range(50, 60):
        guard.extend(boot_ms() + seconds * 1000)
    guard.end("killed", grace_ms=0)
    await guard.ended()
    after = guard.path.stat()
    assert (after.st_ino, after.st_size, after.st_blocks) == (before.st_ino, before.st_size, before.st_blocks)
    assert after.st_blocks * 512 >= after.st_size  # nothing of it has yet to find room on the disk
