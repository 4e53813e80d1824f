"""What a run may use: memory, output, time in which nothing happens; and what it did use, to the last of its tree."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.guarding import Host, a_host, dead
from tests.waiting import wait_until
from workers.clock import boot_ms, epoch_ms

MIB = 1 << 20


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with a_host(tmp_path) as host:
        yield host


async def test_the_time_and_the_memory_of_the_whole_tree_are_told(host: Host) -> None:
    """Of the child that the agent waited for, and of the one that nobody did."""
    spinning = "daemon=spin=150+mark=marks:spun"
    steps = [spinning, "child=spin=150+eat=60+mark=marks:spun+sleep=60000", "eat=60", "mark=marks:eaten"]
    guard = await host.start(7, *steps, "sleep=60000")
    await wait_until(lambda: host.text("marks").count("\n") == 3, "all have worked")
    guard.end("stopped")
    ending = await guard.ended()
    assert 300 <= (ending.cpu_ms or 0) < 5000
    assert 60 * MIB <= (ending.peak_memory or 0) < 400 * MIB


async def test_a_tree_that_takes_too_much_memory_is_ended_at_once(host: Host) -> None:
    steps = ["ignore=INT,TERM", "child=eat=80+sleep=60000", "eat=80", "sleep=60000"]
    ending = await (await host.start(7, *steps, memory_max=150 * MIB)).ended()
    assert (ending.reason, ending.signal, len(ending.receipt)) == ("memory", signal.SIGKILL, 2)
    assert ending.error.endswith("of memory, more than its 150 MiB")
    assert (ending.peak_memory or 0) > 150 * MIB


async def test_memory_that_a_tree_shares_is_counted_once(host: Host) -> None:
    """Four processes with the same 60 MiB in sight are no 240 MiB."""
    steps = ["eat=60", *["child=mark=marks:up+sleep=600"] * 3, "wait=", "exit=4"]
    ending = await (await host.start(7, *steps, memory_max=150 * MIB)).ended()
    assert (ending.reason, ending.code) == ("exited", 4)


async def test_a_log_that_grows_too_long_loses_its_middle_and_says_so(host: Host) -> None:
    guard = await host.start(7, "out=first", "flood=24", "out=last", "mark=marks:done", "sleep=60000", log_max=4 * MIB)
    await wait_until(lambda: host.text("marks"), "it has written, held up by nothing")

    def cut() -> str:
        text = host.text("7.log")
        return text if len(text) <= 4 * MIB and text.endswith("0000023\nlast\n") else ""

    text = await wait_until(cut, "the log is cut")
    assert text.startswith("first\n0000000\n")
    left_out = int(text.split("[dispatch: ")[1].split()[0])
    kept = len(text) - len(f"\n[dispatch: {left_out} bytes are left out here: this log may have {4 * MIB}]\n")
    assert left_out + kept == 24 * MIB + len("first\nlast\n")
    assert guard.state() == "running"


async def test_a_log_that_is_cut_again_says_what_is_left_out_in_all(host: Host) -> None:
    steps = ["flood=3", "mark=marks:one", "sleep=600", "flood=3", "sleep=600"]
    await (await host.start(7, *steps, log_max=2 * MIB)).ended()
    text = host.text("7.log")
    assert text.count("[dispatch: ") == 1
    assert int(text.split("[dispatch: ")[1].split()[0]) > 4 * MIB
    assert len(text) <= 2 * MIB


async def test_a_full_log_ends_a_run_that_was_configured_so(host: Host) -> None:
    guard = await host.start(7, "flood=4", "sleep=60000", log_max=2 * MIB, log_full_ends=True)
    ending = await guard.ended()
    assert (ending.reason, ending.error) == ("output", "Agent wrote 4 MiB of output, more than its 2 MiB")
    assert (host.path / "7.log").stat().st_size <= 2 * MIB


async def test_the_log_of_one_that_writes_on_while_it_is_ended_keeps_its_size(host: Host) -> None:
    writes = [step for _ in range(60) for step in ("flood=1", "sleep=100")]
    guard = await host.start(7, "ignore=INT,TERM", *writes, log_max=2 * MIB, log_full_ends=True, kill_grace_ms=3000)
    sizes: list[int] = []

    def ended() -> bool:
        sizes.append((host.path / "7.log").stat().st_size)
        return guard.state() == "ended"

    await wait_until(ended, "it is ended")
    assert (await guard.ended()).signal == signal.SIGKILL
    first = next(at for at, (before, size) in enumerate(pairwise(sizes)) if size < before)  # until then it may burst
    assert max(sizes[first + 1 :]) < 4 * 2 * MIB


async def test_an_agent_that_does_nothing_is_ended(host: Host) -> None:
    ending = await (await host.start(7, "child=sleep=60000", "sleep=60000", stalled_ms=500)).ended()
    assert ending.reason == "stalled"
    assert ending.error.startswith("Agent did nothing for ")


@pytest.mark.parametrize("work", ["out=busy", "spin=30", "mark=deep/marks:busy"])
async def test_an_agent_that_prints_works_or_changes_a_file_is_not_stalled(host: Host, work: str) -> None:
    cwd = host.path / "work"  # its log lies elsewhere
    (cwd / "deep").mkdir(parents=True)
    steps = [step for _ in range(24) for step in (work, "sleep=100")]
    ending = await (await host.start(7, *steps, "exit=5", cwd=cwd, stalled_ms=1000)).ended()
    assert (ending.reason, ending.code) == ("exited", 5)


async def test_time_in_which_a_tree_was_stilled_is_no_stall(host: Host) -> None:
    cwd = host.path / "work"  # in which nobody writes
    cwd.mkdir()
    guard = await host.start(7, "sleep=60000", cwd=cwd, stalled_ms=2000)
    guard.extend(boot_ms())
    await wait_until(lambda: guard.state() == "stilled", "it is stilled")
    until = boot_ms() + 2100
    await wait_until(lambda: boot_ms() > until, "it was still for longer than it may do nothing")
    before = epoch_ms()
    guard.extend(boot_ms() + 60_000)
    ending = await guard.ended()
    assert (ending.reason, ending.ended_at - before >= 1950) == ("stalled", True)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own choice")
async def test_when_memory_runs_out_agents_are_chosen_before_guards(host: Host) -> None:
    guard = await host.start(7, "child=sleep=60000", "mark=marks:up", "sleep=60000")
    await wait_until(lambda: host.text("marks"), "it is up")
    own = _chosen_at(host.guard_of(guard).pid)
    assert {_chosen_at(each.pid) for each in host.living(guard)} == {500}
    assert own == _chosen_at(os.getpid()) < 500


def _chosen_at(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


async def test_an_agent_goes_with_its_guard_also_when_nobody_is_left_to_end_it(host: Host) -> None:
    guard = await host.start(7, "ignore=INT,TERM,HUP", "mark=marks:up", "sleep=60000")
    await wait_until(lambda: host.text("marks"), "it is up")
    server, process = host.server(), host.guard_of(guard)
    server.suspend()  # else it would see to the end of the agent
    process.kill()
    await wait_until(lambda: host.living(guard) == [], "the agent is gone")
    server.kill()
    await wait_until(lambda: dead(server), "the server too")
    ending = await guard.ended()
    assert (ending.reason, ending.receipt) == ("guard_died", ())
    await (await host.start(8)).ended()  # another server, for the rest of the test
