"""Workers and guards that are short of descriptors: no agent is taken for dead because nobody can look at it."""

import asyncio
import contextlib
import resource
import signal
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar, cast

import psutil
import pytest

from coordinator.config.runners import Runner
from coordinator.errors import GuardError
from coordinator.models import Grant
from coordinator.operations.complete import Ending
from coordinator.store import Store
from tests.guarding import LONG_MS, Host, a_host, dead, steady
from tests.scarce import descriptors, limited
from tests.waiting import wait_until
from workers import guarded
from workers.clock import boot_ms
from workers.guarded import Guard
from workers.guards import Guards
from workers.held import Held
from workers.run import Order
from workers.runs import Runs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a look needs no descriptor")
T = TypeVar("T")


@pytest.fixture
async def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    monkeypatch.setattr(guarded, "_SHORT_WAIT_S", 0.01)
    async with a_host(tmp_path) as host:
        yield host


async def _does_not_return(work: Awaitable[T], left: int) -> "asyncio.Future[T]":
    """`work` as it waits for descriptors, of which there are enough again."""
    with descriptors(left):
        waiting = asyncio.ensure_future(work)
        await steady(waiting.done, "it waits", 60)
    return waiting


def _short(process: psutil.Process) -> AbstractContextManager[None]:
    """That process can open no file meanwhile."""
    return limited(process, resource.RLIMIT_NOFILE, 3)


async def _stands(guard: Guard) -> None:
    agent = psutil.Process(guard.pid)
    await wait_until(lambda: agent.status() == psutil.STATUS_STOPPED, "the agent stands")


@pytest.mark.parametrize("left", [0, 1])
async def test_a_healthy_agent_goes_on_whose_guard_could_not_be_looked_at(host: Host, left: int) -> None:
    guard = await host.start(7, "ticks=ticks")
    ended = await _does_not_return(guard.ended(), left)
    ticks = len(host.text("ticks"))
    await wait_until(lambda: len(host.text("ticks")) > ticks + 20, "the agent goes on")
    assert (ended.done(), guard.state()) == (False, "running")
    guard.end("killed", 0)
    assert (await ended).reason == "killed"


async def test_a_run_that_ends_while_nobody_could_look_is_seen_to_have_ended(host: Host) -> None:
    guard = await host.start(7, argv=("sh", "-c", "until test -e go; do sleep 0.01; done; exit 3"))
    ended = await _does_not_return(guard.ended(), 0)
    (host.path / "go").touch()
    assert (await ended).code == 3


async def test_the_slip_of_a_guard_that_may_live_is_not_removed(host: Host) -> None:
    guard = await host.start(7, "sleep=60000")
    with descriptors(0), pytest.raises(GuardError, match="lives"):
        guard.forget()
    assert guard.path.exists()


async def test_a_guard_that_no_signal_reaches_for_want_of_a_descriptor_is_ended_at_a_later_beat(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "_PATIENCE_MS", -1)
    guard = await host.start(7, "sleep=60000")
    host.guard_of(guard).suspend()
    with descriptors(1):  # for the slip
        guard.end("killed", 0)
        assert not guard.enforce()
    assert guard.enforce()
    assert (await guard.ended()).reason == "killed"


async def test_a_start_after_which_the_slip_can_not_be_read_is_told_of_when_it_can(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = contextlib.ExitStack()

    async def begin(_: Guards) -> None:
        short.enter_context(descriptors(0))

    monkeypatch.setattr(Guards, "_keep_spare", begin)  # the last that a start does before it reads the slip
    with short:
        starting = asyncio.create_task(host.start(7, "ticks=ticks"))
        await wait_until((host.path / "ticks").exists, "the agent works")
        await steady(starting.done, "nobody can say what became of it", 60)
    guard = await starting
    assert (guard.state(), guard.workspace) == ("running", "core/go-io/task-7")
    found = await (await _does_not_return(host.guards.find(7), 0))  # as one that is granted again is looked for
    assert found
    assert found.path == guard.path


async def test_a_guard_that_is_short_itself_stills_its_tree_and_lets_it_go_on(host: Host) -> None:
    guard = await host.start(7, "child=sleep=60000", "ticks=ticks")
    await wait_until((host.path / "ticks").exists, "the agent works")
    with _short(host.guard_of(guard)):
        guard.extend(boot_ms())
        await _stands(guard)
        await steady(guard.state, "nobody knows whether all of it stands", 60)
    await wait_until(lambda: guard.state() == "stilled", "it is known")
    with _short(host.guard_of(guard)):
        guard.extend(boot_ms() + LONG_MS)
        await steady(lambda: psutil.Process(guard.pid).status(), "nobody can look whom to let go on", 60)
        guard.extend(boot_ms())
    await steady(guard.state, "its lease is over again", 60)
    guard.extend(boot_ms() + LONG_MS)
    ticks = len(host.text("ticks"))
    await wait_until(lambda: len(host.text("ticks")) > ticks + 20, "the agent goes on")


@pytest.mark.parametrize("order", ["lost", "killed"])
async def test_a_guard_that_is_short_itself_stops_what_is_to_end_and_ends_it_when_it_can(
    host: Host, order: Order
) -> None:
    guard = await host.start(7, "child=sleep=60000", "ticks=ticks", kill_grace_ms=LONG_MS // 3)
    await wait_until((host.path / "ticks").exists, "the agent works")
    with _short(host.guard_of(guard)):
        guard.end(order)
        await _stands(guard)
        await steady(guard.state, "it has not ended", 60)
    ending = await guard.ended()
    assert (ending.reason, ending.signal, len(ending.receipt)) == (order, signal.SIGKILL, 2)


async def test_a_fork_server_that_is_short_stays_and_ends_what_a_killed_guard_left(host: Host) -> None:
    guard = await host.start(7, "daemon=mark=marks:up+sleep=60000", "sleep=60000")
    await wait_until(lambda: host.text("marks"), "the tree is there")
    server = host.server()
    with _short(server):
        host.guard_of(guard).kill()
        await steady(lambda: dead(server), "it waits", 60)
    await wait_until(lambda: host.living(guard) == [], "the tree is ended")


async def test_a_run_that_has_just_started_goes_on_though_its_pid_can_not_be_read(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, under, told = contextlib.ExitStack(), Held.under, list[Ending]()

    def begin(held: Held, guard: Guard) -> None:
        under(held, guard)
        short.enter_context(descriptors(0))

    async def report(_: Held, ending: Ending) -> None:
        told.append(ending)

    monkeypatch.setattr(Held, "under", begin)
    runners = {"codex": Runner(command=["sh", "-c", "until test -e go; do sleep 0.01; done"])}
    runs = Runs(cast("Store", None), host.path, runners, "h1", host.guards, report)
    async with asyncio.TaskGroup() as runs.group:
        with short:
            runs.begin(Grant(workspace="a/b", token=7, ttl=LONG_MS, agent="codex", task="x", attempt=1), boot_ms())
            held = runs.held[7]
            await wait_until(lambda: held.guard, "it has started")
            await steady(lambda: (told, held.order, 7 in runs.held), "nobody ends it", 60)
        await steady(lambda: (told, held.lives, 7 in runs.held), "it goes on", 60)
        (host.path / "a/b/go").touch()
    assert [one.status for one in told] == ["completed"]
