"""A fleet of real processes on a real server: replicas, workers, agents that leave marks."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import yaml

from coordinator.errors import CoordinatorError
from coordinator.models import Workspace
from coordinator.operations import GetStatus, Hosts, Kill, Query
from coordinator.operations.status import FleetStatus
from coordinator.store import Store
from tests import standing
from tests.waiting import wait_until

ROOT = "{dispatch}"
MARKED = str(Path(__file__).parent / "fakes" / "marked.sh")
_TELLS = "from tests.standing import tell_when_asked; tell_when_asked(); "
WORK = f"{_TELLS}from workers.cli import main; main()"
COORDINATOR = f"{_TELLS}from coordinator.doors.cli import main; main()"


class Fleet:
    """Use as a context; every process it started is gone when it ends."""

    def __init__(
        self,
        url: str,
        place: Path,
        concurrency: dict[str, object],
        runners: dict[str, object] | None = None,
        **dispatch: object,
    ) -> None:
        self.url, self.place = url, place
        self.marks, self.root, self.config = place / "marks", place / "workspaces", place / "agents.yaml"
        pools = [key for key in concurrency if ":" not in key and "*" not in key]
        runner = {"command": ["sh", MARKED, str(self.marks), "{workspace}", "{agent}", "{task}"]}
        self.config.write_text(
            yaml.safe_dump(
                {
                    "version": 1,
                    "dispatch": {"default_agent": pools[0], "workspace_root": str(self.root), **dispatch},
                    "concurrency": concurrency,
                    "runners": runners or dict.fromkeys(pools, runner),
                }
            )
        )
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._end = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.store = await self._end.enter_async_context(Store.connect(self.url, ROOT))
        return self

    async def __aexit__(self, failure: object, *_: object) -> None:
        if failure:  # what still runs would keep its worker, and hide what is wrong behind that
            for name, process in self.processes.items():
                said = self.said(name).splitlines()[-30:]
                print(f"--- {name} said last:", *said, "--- and stands:", sep="\n")
                print(standing.ask(process, self._log(name)))
            with contextlib.suppress(CoordinatorError):
                await self.store.run(Kill(all=True))
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGCONT)  # a test that failed may have left it standing
        for name, process in self.processes.items():
            try:
                await asyncio.to_thread(process.wait, 20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(f"{name} did not end: {self.said(name)}") from None
        await self._end.aclose()

    def serve(self, name: str, url: str = "") -> None:
        """Start a replica, perhaps as another Redis user."""
        self._start(name, ["-c", COORDINATOR, "serve", "--config", str(self.config), "--root", str(self.root)], url)

    def work(self, host: str, slots: int, url: str = "", code: str = WORK, command: str = "run") -> None:
        """Start (again) the worker of a host, perhaps as another Redis user, or by other code or another command."""
        options = ["--host", host, "--slots", str(slots), "--config", str(self.config), "--root", str(self.root)]
        self._start(host, ["-c", code, command, *options], url)

    async def begin(self, slots: int) -> None:
        """Start one replica, `r1`, and one worker, `h1`, and wait until it is ready."""
        self.serve("r1")
        self.work("h1", slots)
        await self.ready(1)

    def _start(self, name: str, arguments: list[str], url: str) -> None:
        environ = {
            **os.environ,
            "REDIS_URL": url or self.url,
            "CORE_AGENT_DISPATCH": "1",
            "DISPATCH_NAMESPACE": "dispatch",
        }
        with self._log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *arguments], env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        """End a process of ours with -9, at once."""
        self.processes[name].kill()
        self.processes[name].wait()

    def said(self, name: str) -> str:
        """What a process logged."""
        return self._log(name).read_text()

    def _log(self, name: str) -> Path:
        return self.place / f"{name}.log"

    def signal(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a process of ours a signal."""
        self.processes[name].send_signal(number)

    async def ended(self, name: str) -> int:
        """Wait for a process of ours; its exit code."""
        return await asyncio.to_thread(self.processes[name].wait, 20)

    async def record(self, workspace: str) -> Workspace:
        """What the registry knows of a workspace."""
        return (await self.store.run(Query(workspace=workspace))).workspaces[0]

    async def becomes(self, workspace: str, *statuses: str, deadline: float = 10) -> Workspace:
        """Wait until a workspace has one of these statuses."""

        async def there() -> Workspace | None:
            record = await self.record(workspace)
            return record if record.status in statuses else None

        return await wait_until(there, f"{workspace} is {' or '.join(statuses)}", deadline, every=0.02)

    async def becomes_known(self, workspace: str, status: str, deadline: float = 30) -> None:
        """Wait until a workspace, which nobody may know yet, has this status."""

        async def there() -> bool:
            found = (await self.store.run(Query(workspace=workspace))).workspaces
            return bool(found) and found[0].status == status

        await wait_until(there, f"{workspace} is {status}", deadline, every=0.05)

    async def status(self) -> FleetStatus:
        return await self.store.run(GetStatus())

    async def ready(self, hosts: int) -> None:
        """Wait until replicas have configured the namespace and so many hosts wait for work."""

        async def waiting() -> bool:
            status, known = await asyncio.gather(self.status(), self.store.run(Hosts()))
            return not status.new and not status.frozen and sum(bool(host.waiting) for host in known.hosts) >= hosts

        await wait_until(waiting, f"{hosts} hosts wait for work", 20, every=0.02)

    async def heard(self) -> None:
        """Wait until a replica hears the bus."""

        async def hears() -> bool:
            return await self.store.publish('{"type":"PokeQueue"}') > 0

        await wait_until(hears, "a replica hears the bus")

    async def drained(self, deadline: float) -> FleetStatus:
        """Wait until nothing waits and nothing runs."""

        async def done() -> FleetStatus | None:
            status = await self.status()
            return None if status.running or status.queued else status

        return await wait_until(done, "everything has ended", deadline, every=0.05)
