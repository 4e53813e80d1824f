"""Worker, guard and fork server killed with -9, one at a time and together; two of each at once."""

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from coordinator.errors import GuardError
from tests.guarding import AGENT, LONG_MS, Host, a_host, dead
from tests.waiting import wait_until, wait_until_sync
from workers import guards, processes
from workers.clock import boot_ms
from workers.forkserver import LOCK, SOCKET
from workers.guards import Guards
from workers.processes import Identity
from workers.slip import Birth, Slip

WORKER = """
import asyncio, sys
from pathlib import Path
from workers import processes
from workers.clock import boot_ms
from workers.guards import Guards
from workers.run import Run

async def main():
    home, agent = Path(sys.argv[1]), sys.argv[3:]
    run = Run(7, "core/go-io/task-7", tuple(agent), {}, home.parent, home.parent / "7.log", 300)
    async with Guards(home) as guards:
        await guards.start(run, boot_ms() + int(sys.argv[2]))
        print("started", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with a_host(tmp_path) as host:
        yield host


def kill_a_worker_that_started(host: Host, *steps: str, lease_ms: int = 1500) -> None:
    """A worker process starts an agent with such a lease and is killed."""
    home = str(host.guards.home)
    argv = [sys.executable, "-c", WORKER, home, str(lease_ms), sys.executable, "-IS", str(AGENT), *steps]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=AGENT.parents[2]) as worker:
        assert worker.stdout
        assert worker.stdout.readline() == b"started\n"
        worker.kill()


@pytest.mark.reference("W11")
async def test_an_agent_outlives_its_worker_and_is_adopted(host: Host) -> None:
    await asyncio.to_thread(kill_a_worker_that_started, host, "ticks=ticks")
    (guard,) = Guards(host.guards.home).found()
    assert (guard.token, guard.workspace, guard.state()) == (7, "core/go-io/task-7", "running")
    await wait_until(lambda: guard.state() == "stilled", "stilled without any worker")
    guard.extend(boot_ms() + 60_000)
    before = len(host.text("ticks"))
    await wait_until(lambda: len(host.text("ticks")) > before + 20, "the agent writes")
    guard.end("stopped", 5000)
    ending = await guard.ended()
    assert (ending.reason, ending.signal) == ("stopped", signal.SIGINT)


async def test_an_agent_that_ended_while_there_was_no_worker_is_found_ended(host: Host) -> None:
    await asyncio.to_thread(kill_a_worker_that_started, host, "out=said", "exit=3")
    (guard,) = host.guards.found()
    ending = await guard.ended()
    assert (ending.code, ending.reason) == (3, "exited")
    assert host.text("7.log") == "said\n"


async def test_a_fork_server_that_somebody_stopped_is_let_go_on(host: Host) -> None:
    """Otherwise each start would fail after its time, and three of those rest the pool of every host."""
    host.server().send_signal(signal.SIGSTOP)
    for token in (7, 8):  # the first one has a guard that was forked before
        ending = await (await host.start(token, "mark=marks:started")).ended()
        assert (ending.reason, ending.code) == ("exited", 0)


async def test_one_token_is_started_once(host: Host) -> None:
    async with Guards(host.guards.home) as other:
        run, deadline = host.run(7, "mark=marks:started"), boot_ms() + 60_000
        tries = [each.start(run, deadline) for each in (host.guards, other) * 4]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(refusals) == 7
    assert {(type(each), str(each)) for each in refusals} == {(GuardError, "token 7 was already started on this host")}
    (guard,) = host.guards.found()
    await guard.ended()
    assert host.text("marks").count("started 7 core/go-io/task-7") == 1


@pytest.mark.reference("W28")
@pytest.mark.parametrize("server", ["lives", "is killed too"])
async def test_the_tree_of_a_killed_guard_is_ended_and_reported(host: Host, server: str) -> None:
    ignoring = "ignore=INT,TERM"
    leaving = f"daemon={ignoring}+mark=marks:daemon+sleep=60000"
    guard = await host.start(7, ignoring, leaving, "mark=marks:agent", "sleep=60000")
    await wait_until(lambda: host.text("marks").count("\n") == 2, "the tree is there")
    process = host.guard_of(guard)
    (daemon,) = {each.pid for each in host.living(guard)} - {guard.pid}
    if server == "is killed too":
        host.server().kill()
    process.kill()
    ending = await guard.ended()
    assert (ending.code, ending.signal, ending.reason) == (None, None, "guard_died")
    assert "the guard of token 7 was killed" in ending.error
    assert host.living(guard) == []
    assert await host.guards.found()[0].ended() == ending
    assert [(each.pid, each.by) for each in ending.receipt] == [(daemon, "KILL")]  # the agent went with its guard
    if server == "is killed too":
        await (await host.start(8)).ended()


async def test_the_tree_of_a_killed_guard_ends_without_any_worker(host: Host) -> None:
    steps = "daemon=sleep=60000", "sleep=60000"
    await asyncio.to_thread(kill_a_worker_that_started, host, *steps, lease_ms=60_000)
    (guard,) = host.guards.found()
    await wait_until(lambda: len(host.living(guard)) == 2, "the tree is there")
    host.guard_of(guard).kill()
    await wait_until(lambda: host.living(guard) == [], "the fork server has ended the tree")
    assert guard.state() == "ended"
    assert len((await guard.ended()).receipt) == 1


async def test_the_fork_server_ends_the_tree_of_a_killed_guard_whatever_lies_beside_its_slip(host: Host) -> None:
    other = host.guards.home / "6.run"
    other.mkdir()
    guard = await host.start(7, "daemon=sleep=60000", "sleep=60000")
    await wait_until(lambda: len(host.living(guard)) == 2, "the tree is there")
    host.guard_of(guard).kill()
    await wait_until(lambda: host.living(guard) == [], "the fork server has ended the tree")
    other.rmdir()


async def test_running_guards_do_not_need_the_fork_server(host: Host) -> None:
    guard = await host.start(7, "ticks=ticks", lease_ms=1000)
    first = host.server()
    first.kill()
    await wait_until(lambda: dead(first), "the server is dead")
    others = await asyncio.gather(*[host.start(token, "exit=2") for token in (8, 9, 10)])
    assert [(await other.ended()).code for other in others] == [2, 2, 2]
    assert host.server().pid != first.pid
    await wait_until(lambda: guard.state() == "stilled", "the first one's lease is over")
    guard.end("lost")
    assert (await guard.ended()).reason == "lost"


async def test_starts_that_waited_for_a_fork_server_together_leave_no_connection_open(host: Host) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        for first in range(7, 47, 8):
            server = host.server()
            server.kill()
            await wait_until(partial(dead, server), "the server is dead")
            await asyncio.gather(*[host.start(first + number, "exit=0") for number in range(8)])
        gc.collect()
    assert [str(one.message) for one in seen] == []


async def test_a_guard_that_waits_may_be_killed_without_harm(host: Host) -> None:
    waiting = await wait_until(host.server().children, "a guard waits")
    waiting[0].kill()
    assert (await (await host.start(7, "exit=2")).ended()).code == 2


async def test_a_start_that_nobody_awaits_any_more_does_not_happen_late(host: Host) -> None:
    waiting = await wait_until(host.server().children, "a guard waits")
    waiting[0].suspend()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(host.start(7, "mark=marks:started"), 0.3)
    waiting[0].resume()
    await wait_until(lambda: dead(waiting[0]), "the guard that was asked has gone")
    assert host.guards.found() == []
    await (await host.start(7, "mark=marks:started")).ended()


async def test_a_start_that_was_given_up_does_not_happen_late(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "_START_WITHIN_S", 0.2)
    waiting = await wait_until(host.server().children, "a guard waits")
    waiting[0].suspend()
    with pytest.raises(GuardError, match="does not answer"):
        await host.start(7, "mark=marks:started")
    birth = Birth(Identity(os.getpid(), 1), "", 7, 300, LONG_MS, "core/go-io/task-7")
    with pytest.raises(FileExistsError):  # as a guard would that had looked for its asker before
        Slip.create(host.guards.home / "7.run", birth, boot_ms() + LONG_MS)
    waiting[0].resume()
    await wait_until(lambda: dead(waiting[0]), "the guard that was asked has gone")
    assert host.guards.found() == []
    (host.guards.home / "7.torn").unlink()


async def test_a_token_is_refused_at_once_even_when_no_guard_answers(host: Host) -> None:
    await (await host.start(7)).ended()
    await wait_until(lambda: len(host.server().children()) == 1, "only the guard that waits is left")
    standing = [host.server(), *host.server().children()]
    try:
        for each in standing:
            each.suspend()
        with pytest.raises(GuardError, match="token 7 was already started"):
            await host.start(7)
    finally:
        for each in standing:
            each.resume()


async def test_two_workers_that_start_at_once_share_one_fork_server(host: Host) -> None:
    home = host.path / "other"
    many = [Guards(home) for _ in range(4)]
    await asyncio.gather(*[guards.open() for guards in many])
    try:
        other = Host(host.path, home)
        server = other.server()
        await wait_until(lambda: len(other.relatives()) == 5, "a guard waits at each of the four")
        assert {each.ppid() for each in other.relatives() if each.pid != server.pid} == {server.pid}
        await wait_until(lambda: len(server.children()) >= 4, "one guard waits for each")
    finally:
        await asyncio.gather(*[guards.close() for guards in many])
    await wait_until(lambda: other.relatives() == [], "a server that nobody needs has ended by itself")
    assert not (home / SOCKET).exists()


async def test_many_starts_at_once_without_a_fork_server_start_one(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    start_server = Guards._start_server

    async def counted(guards: Guards) -> None:
        started.append(1)
        await start_server(guards)

    monkeypatch.setattr(Guards, "_start_server", counted)
    server = host.server()
    server.kill()
    await wait_until(lambda: dead(server), "it is dead")
    guards = await asyncio.gather(*(host.start(token) for token in range(1, 6)))
    assert [(await guard.ended()).reason for guard in guards] == ["exited"] * 5
    assert len(started) == 1


async def test_a_path_too_long_for_a_socket_is_no_hindrance(tmp_path: Path) -> None:
    home = tmp_path / ("a" * 100) / ("b" * 100) / "runs"
    async with a_host(tmp_path, home) as host:
        assert (await (await host.start(7, "exit=2")).ended()).code == 2


async def test_a_home_that_can_not_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GuardError, match=r"^can not use /.*/file/runs for the guards of this host: .*$"):
        await Guards(tmp_path / "file" / "runs").open()
    (tmp_path / "runs" / LOCK).mkdir(parents=True)
    with pytest.raises(GuardError, match=r"^the fork server of /.* can not start: .*forkserver.*lock.*$"):
        await Guards(tmp_path / "runs").open()


async def test_a_slip_from_before_the_machine_restarted_is_an_ended_run(host: Host) -> None:
    me = processes.look(os.getpid())  # the numbers of a process that lives now, by chance
    assert me
    birth = Birth(me.identity, "another-boot", 7, 300, 60_000, "core/go-io/task-7")
    Slip.create(host.guards.home / "7.run", birth, boot_ms() + 60_000).close()
    (guard,) = host.guards.found()
    assert guard.state() == "ended"
    assert (await guard.ended()).reason == "guard_died"


async def test_no_descriptor_is_kept_between_calls(host: Host) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a number is all that is asked

    await (await host.start(1)).ended()
    before = count()
    guards = [await host.start(token, "sleep=60000") for token in range(2, 6)]
    waiting = [asyncio.create_task(guard.ended()) for guard in guards]
    for guard in guards:
        guard.extend(boot_ms() + 50_000)
    waiting[0].cancel()
    for guard in guards:
        guard.end("killed", grace_ms=0)
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (await guards[0].ended()).reason == "killed"
    assert count() == before


def test_the_fork_server_stays_small(tmp_path: Path) -> None:
    """It is imported without anything heavy, for it lives beside every fleet."""
    said = subprocess.run(
        [sys.executable, "-c", "import sys, workers.forkserver; print(*sys.modules)"],
        capture_output=True, text=True, check=True, cwd=AGENT.parents[2],
    ).stdout.split()  # fmt: skip
    assert "psutil" in said
    assert not {"coordinator", "pydantic", "redis", "asyncio", "typer", "yaml"} & set(said)


def test_a_fork_server_that_nobody_needs_goes(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "workers.forkserver", str(tmp_path), "0.05"], check=True, cwd=AGENT.parents[2]
    )
    wait_until_sync(lambda: not (tmp_path / SOCKET).exists(), "the socket is gone")
    with contextlib.suppress(psutil.NoSuchProcess):
        server = psutil.Process(int((tmp_path / LOCK).read_text()))
        wait_until_sync(lambda: dead(server), "the server is gone")
    shutil.rmtree(tmp_path)
