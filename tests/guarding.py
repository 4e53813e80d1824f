"""A host with guards and scripted agents, for tests."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil

from tests.waiting import wait_until
from workers import families, processes
from workers.clock import boot_ms
from workers.forkserver import LOCK, LOG
from workers.guarded import Guard
from workers.guards import Guards
from workers.run import Run

AGENT = Path(__file__).parent / "fakes" / "agent.py"
LONG_MS = 60_000


class Host:
    """One host: its directory, its guards, and runs of the scripted agent."""

    def __init__(self, path: Path, home: Path) -> None:
        self.path, self.guards = path, Guards(home)

    def run(self, token: int, *steps: str, **changes: Any) -> Run:
        asked: dict[str, Any] = {
            "token": token,
            "workspace": f"core/go-io/task-{token}",
            "argv": (sys.executable, "-IS", str(AGENT), *steps),
            "env": {"PATH": os.environ["PATH"]},
            "cwd": self.path,
            "log": self.path / f"{token}.log",
            "kill_grace_ms": 300,
        }
        return Run(**(asked | changes))

    async def start(self, token: int, *steps: str, lease_ms: int = LONG_MS, **changes: Any) -> Guard:
        return await self.guards.start(self.run(token, *steps, **changes), boot_ms() + lease_ms)

    def text(self, name: str) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.path / name).read_text()
        return ""

    def living(self, guard: Guard) -> list[processes.Process]:
        """All of a run's tree that its marker shows, and its agent."""
        return families.marked(f"DISPATCH_RUN={guard.path}")

    def server(self) -> psutil.Process:
        """The fork server of this host."""
        return psutil.Process(int((self.guards.home / LOCK).read_text()))

    def relatives(self) -> list[psutil.Process]:
        """The fork server and all it forked: they look alike."""
        wanted = ["workers.forkserver", str(self.guards.home)]
        return [each for each in psutil.process_iter() if _command(each)[-2:] == wanted]

    def guard_of(self, guard: Guard) -> psutil.Process:
        """The process of a guard: the parent of its agent."""
        parent = psutil.Process(guard.pid).parent()
        assert parent is not None
        return parent


@contextlib.asynccontextmanager
async def a_host(path: Path, home: Path | None = None) -> AsyncIterator[Host]:
    """A host in a directory; afterwards no run, no stray file and no complaint of a guard is left."""
    host = Host(path, home or path / "runs")
    async with host.guards:
        yield host
        for guard in host.guards.found():
            guard.end("killed", grace_ms=0)
            await guard.ended()
            assert host.living(guard) == []
            guard.forget()
    server = host.server()
    server.terminate()  # it would go by itself a little later
    await wait_until(lambda: dead(server) and not host.relatives(), "the fork server and the waiting guard have ended")
    left = {each.name for each in host.guards.home.iterdir()}
    assert left == {LOCK, LOG}, left
    assert (host.guards.home / LOG).read_text() == ""


async def steady(look: Any, description: str, looks: int = 30) -> None:
    """What `look` sees stays the same for that many looks."""
    first, left = look(), looks

    def again() -> bool:
        nonlocal left
        assert look() == first, f"changed: {description}"
        left -= 1
        return left == 0

    await wait_until(again, description)


def dead(process: psutil.Process) -> bool:
    """Gone, or only not yet collected by whoever adopted it."""
    with contextlib.suppress(psutil.NoSuchProcess):  # it may go between the two questions
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def _command(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []
