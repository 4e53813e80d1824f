"""The processes of a demo's fleet: replicas and workers, started, looked after and stopped together."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import psutil

from coordinator.doors.demo.place import Place
from coordinator.errors import WorkerError
from workers.forkserver import LOCK
from workers.start import home_of

REPLICAS: Final = ("replica-1", "replica-2")
HOSTS: Final = ("h1", "h2")
_MEMBER: Final = "coordinator.doors.demo.member"  # by name: it imports every door, and so this file
_STOP_MAX: Final = 20.0  # seconds until what does not end is killed
_GONE_MAX: Final = 5.0


class Members:
    """Use `running`; every process is gone when that context ends."""

    def __init__(self, place: Place, environ: Mapping[str, str]) -> None:
        self._place, self._environ = place, {**environ, "PYTHONPATH": _python_path(environ)}
        self._processes: dict[str, Process] = {}

    @property
    def logs(self) -> Path:
        """Where each process writes its log."""
        return self._place.logs

    async def start(self, slots: int) -> None:
        """Two replicas, and two workers with so many slots each."""
        root = ("--root", str(self._place.root))
        for name in REPLICAS:
            await self._start(name, "coordinator", "serve", *root)
        for host in HOSTS:
            await self._start(f"worker-{host}", "worker", "run", "--host", host, "--slots", str(slots), *root)

    def look(self) -> None:
        """Raises WorkerError when one has ended by itself."""
        for name, process in self._processes.items():
            if process.returncode is not None:
                log = self._place.logs / f"{name}.log"
                raise WorkerError(f"{name} ended: {_last_line(log)}; look into {log}")

    async def quiet(self) -> None:
        """Ask all to end, and wait until they have: nothing runs any more."""
        for process in self._processes.values():
            _signal(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_MAX / 2):
                await self._gone()

    async def stop(self) -> None:
        """End all, with what still runs."""
        for process in self._processes.values():
            if process.stdin:
                process.stdin.close()  # the leash
        try:
            async with asyncio.timeout(_STOP_MAX):
                await self._gone()
        except TimeoutError:
            for process in self._processes.values():
                _signal(process, signal.SIGKILL)
            await self._gone()
        for host in HOSTS:
            await asyncio.to_thread(_fork_server_gone, home_of(self._place.root, host) / "runs")

    async def _start(self, name: str, *command: str) -> None:
        log = os.open(self._place.logs / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._processes[name] = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", _MEMBER, *command,
                stdin=PIPE, stdout=log, stderr=STDOUT, env=self._environ, cwd=self._place.directory,
                start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(log)

    async def _gone(self) -> None:
        for process in self._processes.values():
            await process.wait()


@contextlib.asynccontextmanager
async def running(place: Place, environ: Mapping[str, str]) -> AsyncIterator[Members]:
    """A fleet that is gone when the context ends, however it ends."""
    members = Members(place, environ)
    try:
        yield members
    finally:
        await asyncio.shield(asyncio.ensure_future(members.stop()))


def _python_path(environ: Mapping[str, str]) -> str:
    """Where this very code is: also when it runs from a checkout that is not installed."""
    here = str(Path(__file__).resolve().parents[3])
    return os.pathsep.join(part for part in (here, environ.get("PYTHONPATH")) if part)


def _signal(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _fork_server_gone(home: Path) -> None:
    """A fork server goes a moment after its worker; whoever looks then finds nothing of the demo."""
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        psutil.Process(int((home / LOCK).read_text())).wait(_GONE_MAX)


def _last_line(log: Path) -> str:
    try:
        return (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"])[-1]
    except OSError:
        return "it said nothing"
