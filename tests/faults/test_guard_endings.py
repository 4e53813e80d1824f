"""How an agent may end, and that nothing of it is left."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from coordinator.errors import GuardError
from tests.guarding import Host, a_host
from tests.waiting import wait_until
from workers.clock import epoch_ms
from workers.run import Exit


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with a_host(tmp_path) as host:
        yield host


async def test_an_exit_code_and_all_output_are_kept(host: Host) -> None:
    before = epoch_ms()
    (host.path / "7.log").write_text("earlier\n")
    guard = await host.start(7, "out=to stdout", "err=to stderr", "exit=3")
    ending = await guard.ended()
    assert (ending.code, ending.signal, ending.reason, ending.receipt) == (3, None, "exited", ())
    assert before <= ending.started_at <= ending.ended_at <= epoch_ms()
    assert host.text("7.log") == "earlier\nto stdout\nto stderr\n"
    assert guard.state() == "ended"


async def test_a_death_by_signal_is_told_from_an_exit_code(host: Host) -> None:
    ending = await (await host.start(7, "die=SEGV")).ended()
    assert (ending.code, ending.signal, ending.reason) == (None, signal.SIGSEGV, "exited")


async def test_the_exit_code_of_an_agent_that_ends_at_once_is_never_lost(host: Host) -> None:
    guards = [await host.start(n, argv=("/bin/sh", "-c", f"exit {n}")) for n in range(1, 21)]
    endings = await asyncio.gather(*[guard.ended() for guard in guards])
    assert [ending.code for ending in endings] == list(range(1, 21))


async def test_a_prompt_of_a_mebibyte_arrives_whole_and_then_ends(host: Host) -> None:
    prompt = "añ€\n" * (2**20 // 7)
    ending = await (await host.start(7, "stdin=got", "exit=0", stdin=prompt)).ended()
    assert ending.code == 0
    assert host.text("got") == prompt


async def test_an_empty_prompt_ends_at_once(host: Host) -> None:
    await (await host.start(7, "stdin=got")).ended()
    assert (host.path / "got").read_bytes() == b""


async def test_an_agent_that_never_reads_a_long_prompt_holds_nothing_up(host: Host) -> None:
    guard = await host.start(7, "sleep=60000", stdin="x" * 2**20)
    guard.end("killed", grace_ms=0)
    assert (await guard.ended()).reason == "killed"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"argv": ("codx", "--json")}, "can not start codx: there is no program codx on PATH"),
        ({"argv": ("/etc/passwd",)}, "can not start /etc/passwd: [Errno 13] Permission denied"),
        ({"argv": ("sh", "a\0b")}, "can not start sh: embedded null byte"),
        ({"cwd": Path("/nowhere/at/all")}, "there is no directory /nowhere/at/all to work in"),
        ({"log": Path("/nowhere/7.log")}, "No such file or directory: '/nowhere/7.log'"),
    ],
)
async def test_what_can_not_start_is_an_ending_that_says_why(host: Host, changes: dict[str, Any], said: str) -> None:
    guard = await host.start(7, **changes)
    ending = await guard.ended()
    assert (ending.code, ending.signal, ending.reason) == (None, None, "start_failed")
    assert said in ending.error
    assert guard.pid == 0


async def test_what_the_worker_ignores_or_blocks_is_not_handed_down(tmp_path: Path) -> None:
    """As under `nohup` or in the background of a shell."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGQUIT)}
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        async with a_host(tmp_path) as host:
            await (await host.start(7, "ignored=ignored")).ended()
            assert json.loads(host.text("ignored")) == {"ignored": [], "blocked": []}
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
        for number, handler in before.items():
            signal.signal(number, handler)


async def test_an_agent_gets_its_environment_and_marks_and_nothing_else(host: Host) -> None:
    guard = await host.start(7, "env=env", "fds=fds", env={"PATH": "/bin", "LANG": "C"})
    await guard.ended()
    environment = json.loads(host.text("env"))
    environment.pop("LC_CTYPE", None)  # Python's own
    assert environment == {
        "PATH": "/bin",
        "LANG": "C",
        "DISPATCH_TOKEN": "7",
        "DISPATCH_WORKSPACE": "core/go-io/task-7",
        "DISPATCH_RUN": str(guard.path),
    }
    assert json.loads(host.text("fds")) == [0, 1, 2]


async def test_a_time_limit_ends_the_run(host: Host) -> None:
    ending = await (await host.start(7, "sleep=60000", timeout_ms=2000, kill_grace_ms=5000)).ended()
    assert (ending.reason, ending.signal) == ("timeout", signal.SIGINT)
    assert ending.ended_at - ending.started_at >= 1900


@pytest.mark.parametrize(("name", "code"), [("INT", 4), ("TERM", 5)])
async def test_an_agent_that_is_told_to_end_may_do_so_itself(host: Host, name: str, code: int) -> None:
    steps = ["trap=INT:4"] if name == "INT" else ["ignore=INT", "trap=TERM:5"]
    guard = await host.start(7, *steps, "mark=marks:ready", "sleep=60000", kill_grace_ms=3000)
    await wait_until(lambda: host.text("marks"), "the agent is ready")
    guard.end("stopped")
    ending = await guard.ended()
    assert (ending.reason, ending.code) == ("stopped", code)
    assert [(each.pid, each.by) for each in ending.receipt] == [(guard.pid, name)]


@pytest.mark.reference("W13")
async def test_a_stubborn_tree_in_many_sessions_leaves_nothing(host: Host) -> None:
    ignoring = "ignore=INT,TERM,HUP"
    steps = [
        ignoring,
        f"child={ignoring}+mark=marks:child+sleep=60000",
        f"daemon={ignoring}+mark=marks:daemon+sleep=60000",
        f"scrubbed={ignoring}+mark={host.path}/marks:scrubbed+sleep=60000",
    ]
    guard = await host.start(7, *steps, "mark=marks:agent", "sleep=60000")
    await wait_until(lambda: host.text("marks").count("\n") == 4, "the whole tree is there")
    pids = [child.pid for child in host.guard_of(guard).children(recursive=True)]
    assert len(pids) == 4
    guard.end("killed")
    ending = await guard.ended()
    assert (ending.reason, ending.signal) == ("killed", signal.SIGKILL)
    assert {(each.pid, each.by) for each in ending.receipt} == {(pid, "KILL") for pid in pids}
    assert all("agent.py" in each.command for each in ending.receipt)
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


async def test_what_an_agent_leaves_behind_is_ended_and_named(host: Host) -> None:
    scrubbed = f"scrubbed=ignore=INT,TERM+mark={host.path}/marks:left+sleep=60000"
    argv = host.run(7, "daemon=sleep=60000", scrubbed).argv
    script = f"{' '.join(argv)}; until [ -s marks ]; do :; done; exit 6"
    guard = await host.start(7, argv=("/bin/sh", "-c", script), kill_grace_ms=3000)
    ending = await guard.ended()
    assert (ending.code, ending.reason, [each.by for each in ending.receipt]) == (6, "exited", ["INT", "KILL"])
    assert not [each for each in ending.receipt if psutil.pid_exists(each.pid)]


async def test_a_long_grace_is_cut_short_by_a_stricter_order(host: Host) -> None:
    guard = await host.start(7, "ignore=INT,TERM", "mark=marks:ready", "sleep=60000", kill_grace_ms=30_000)
    await wait_until(lambda: host.text("marks"), "the agent is ready")
    guard.end("stopped")
    guard.end("lost")
    ending = await asyncio.wait_for(guard.ended(), 5)
    assert ending.signal == signal.SIGKILL


async def test_an_ending_is_told_again_to_whoever_asks_until_it_is_forgotten(host: Host) -> None:
    guard = await host.start(7, "exit=1")
    first, second = await asyncio.gather(guard.ended(), guard.ended())
    (found,) = host.guards.found()
    assert first == second == await found.ended()
    assert isinstance(first, Exit)
    guard.forget()
    guard.forget()
    assert host.guards.found() == []


async def test_a_fast_agent_needs_no_python_to_be_started(host: Host) -> None:
    """The agent's program is started by the forked guard itself; an interpreter each would be seen in its parents."""
    guard = await host.start(7, "sleep=60000")
    assert host.guard_of(guard).cmdline()[1:] == host.server().cmdline()[1:]
    assert host.guard_of(guard).ppid() == host.server().pid
    assert sys.executable in host.server().cmdline()[0]


@pytest.mark.parametrize("guard_is", ["there", "killed"])
@pytest.mark.parametrize("slip_is", ["removed", "another file", "a directory"])
async def test_a_run_whose_slip_is_gone_is_ended_and_reported(host: Host, slip_is: str, guard_is: str) -> None:
    """Nobody could extend its lease, or order its end: an agent, or a person, has tidied up."""
    ignoring = "ignore=INT,TERM"
    guard = await host.start(7, ignoring, f"daemon={ignoring}+mark=marks:daemon+sleep=60000", "sleep=60000")
    await wait_until(lambda: host.text("marks"), "the tree is there")
    process = host.guard_of(guard)
    guard.path.unlink()
    if slip_is == "a directory":
        guard.path.mkdir()
    elif slip_is == "another file":
        guard.path.touch()
    with contextlib.suppress(GuardError):
        guard.end("killed")
    if guard_is == "killed":
        process.kill()
    ending = await guard.ended()
    assert ending.reason == "killed"
    assert host.living(guard) == []
    if slip_is == "a directory":
        guard.path.rmdir()
    else:
        guard.forget()
