"""The guards of one host, from the worker's side: start one under a run, find those that are there."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

import workers
from coordinator.errors import GuardError
from coordinator.models import Grant
from workers.forkserver import LOCK, LOG, SOCKET
from workers.guarded import GRANT, Guard, guard_at
from workers.run import Run
from workers.slip import SUFFIX, Slip

log = logging.getLogger(__name__)
_PACKAGES = Path(workers.__file__).parent.parent
_START_WITHIN_S = 10.0
_SLOW_S = 1.0
_ATTEMPTS = 3
_LONGEST_ADDRESS = 100  # bytes; the system's own limit is 103 or 107

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Guards:
    """Starts and finds guards. Use as a context, or `open` and `close`; guards and fork server go on without it.

    `home` is a directory of this host alone. While open, one connection waits at a guard that is already forked: that
    makes the next start fast, and tells the fork server that it is needed.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self._spare: Connection | None = None
        self._starting = asyncio.Lock()

    async def open(self) -> None:
        """Make the home and have a fork server and a waiting guard ready; GuardError when that can not be."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            self.home.chmod(0o700)
        except OSError as error:
            raise GuardError(f"can not use {self.home} for the guards of this host: {error}") from error
        await self._keep_spare()

    async def close(self) -> None:
        """Let the waiting guard go. Every guard of a run stays."""
        if spare := self._take_spare():
            await _hang_up(spare)

    async def __aenter__(self) -> "Guards":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self, run: Run, deadline_ms: int) -> Guard:
        """Start an agent under a guard of its own and return when it runs, or when it is known that it can not.

        `deadline_ms` is the lease's end on the boot clock. A program that can not be started is an ending
        (`start_failed`); GuardError means that nothing was started: the token was before, the lease is as good as over,
        or there is no fork server. Waits while there are no descriptors to read its slip with.
        """
        path = self.home / f"{run.token}{SUFFIX}"
        try:
            return await self._start(run, deadline_ms)
        except GuardError:
            if not path.exists():  # nothing of it is left
                path.with_suffix(GRANT).unlink(missing_ok=True)
            raise

    async def _start(self, run: Run, deadline_ms: int) -> Guard:
        path = self.home / f"{run.token}{SUFFIX}"
        if not run.argv:
            raise GuardError(f"the command of {run.workspace} is empty")
        if path.exists():
            raise GuardError(f"token {run.token} was already started on this host")
        waking = asyncio.get_running_loop().call_later(_SLOW_S, self._wake)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_START_WITHIN_S):
                    if refused := await self._ask(run.encode(deadline_ms), path):
                        raise GuardError(refused)
                    with contextlib.suppress(GuardError):  # this run has started; the next one will say it
                        await self._keep_spare()
        finally:
            waking.cancel()
        if not path.exists() and Slip.forestall(path):  # nor will it be by a guard that is late, and that nobody awaits
            path.with_suffix(GRANT).unlink(missing_ok=True)
            raise GuardError(f"the fork server of {self.home} does not answer")
        return await guard_at(path)

    def note(self, grant: Grant) -> None:
        """Write down what a run is granted as, before it starts; where that fails, the next worker does not know."""
        path = self.home / f"{grant.token}{GRANT}"
        try:
            with open(path, "w", encoding="utf-8", opener=_private) as file:
                file.write(grant.model_dump_json(exclude_none=True))
        except OSError as error:
            log.warning("not written down workspace=%s: %s", grant.workspace, error)

    async def find(self, token: int) -> Guard | None:
        """The guard of a token, if that was started here."""
        path = self.home / f"{token}{SUFFIX}"
        return await guard_at(path) if path.exists() else None

    def found(self) -> list[Guard]:
        """All guards on disk, lowest token first, living or ended: for a worker that comes back.

        What is no slip of a run keeps no worker from coming back; one that can not be read does, GuardError: it may be.
        """
        paths = list(self.home.glob(f"*{SUFFIX}"))
        guards = [guard for guard in map(Guard, _slips(paths)) if guard.workspace]
        for other in set(paths) - {guard.path for guard in guards}:
            log.warning("set aside %s: it names no run", other)
            with contextlib.suppress(OSError):
                other.rename(other.with_suffix(".torn"))
        for note in self.home.glob(f"*{GRANT}"):
            if not note.with_suffix(SUFFIX).exists():  # its run was never started
                note.unlink(missing_ok=True)
        return [guard for guard in guards if guard.workspace]

    async def _ask(self, question: bytes, path: Path) -> str:
        """Ask a guard to start a run; returns its refusal if any. One that dies without a slip has done nothing."""
        for _ in range(_ATTEMPTS):
            connection = self._take_spare() or await self._connect()
            answer = b""
            try:
                with contextlib.suppress(OSError):
                    connection[1].write(question)
                    await connection[1].drain()
                    answer = await connection[0].readline()
            finally:
                await _hang_up(connection)
            if answer:
                return str(json.loads(answer)["refused"])
            if path.exists():  # noqa: ASYNC240  # one look, on the local disk
                return ""
        return f"guards end before they answer; see {self.home / LOG}"

    def _wake(self) -> None:
        """Let a fork server go on that somebody stopped: it accepts nobody, and who waits for it is not refused."""
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            server = psutil.Process(int((self.home / LOCK).read_text()))
            if server.cmdline()[-2:] == ["workers.forkserver", str(self.home)]:
                server.send_signal(signal.SIGCONT)

    async def _keep_spare(self) -> None:
        if not self._spare:
            connection = await self._connect()
            surplus = self._take_spare()  # another start was faster
            self._spare = connection  # before the next wait: who comes meanwhile would be overwritten
            if surplus:
                await _hang_up(surplus)

    def _take_spare(self) -> Connection | None:
        spare, self._spare = self._spare, None
        return spare

    async def _connect(self) -> Connection:
        for _ in range(_ATTEMPTS):
            if connection := await self._reach():
                return connection
            async with self._starting:
                if connection := await self._reach():  # whoever waited before has started it
                    return connection
                await self._start_server()
        raise GuardError(f"the fork server of {self.home} does not stay; see {self.home / LOG}")

    async def _reach(self) -> Connection | None:
        """A connection to the fork server; None when there is none, or it has just ended."""
        try:
            with _address(self.home / SOCKET) as address:
                return await asyncio.open_unix_connection(address)
        except (FileNotFoundError, ConnectionError):
            return None
        except OSError as error:
            raise GuardError(f"can not reach the fork server of {self.home}: {error}") from error

    async def _start_server(self) -> None:
        """Returns when a server listens; one that was there already is left alone."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "workers.forkserver", str(self.home)),
            cwd=_PACKAGES,
            env={name: value for name, value in os.environ.items() if name != "REDIS_URL"},  # guards talk to no server
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        if process.returncode:
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            raise GuardError(f"the fork server of {self.home} can not start: {last}")


async def bury(home: Path) -> None:
    """End what guards left that were killed themselves, with the fork server and the worker that would have seen to it.

    For a worker that begins, whether or not it finds a server: nothing else ends these before their leases end.
    """
    home = home.resolve()  # noqa: ASYNC240  # as guards name it to their agents: the mark of these is a path
    for path in _slips(home.glob(f"*{SUFFIX}")):
        with contextlib.suppress(GuardError):  # its slip is gone: another has seen to it
            guard = Guard(path)
            if guard.workspace and guard.state() == "ended":
                await guard.ended()


def _slips(paths: Iterable[Path]) -> list[Path]:
    """Those that look like slips, lowest token first; an agent may have put anything in the place of its own."""
    found = [path for path in paths if path.stem.isdecimal() and path.is_file() and not path.is_symlink()]
    return sorted(found, key=lambda path: int(path.stem))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    """The path of a socket, or a short one that leads to it when it is too long for an address."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    usual = tempfile.gettempdir()
    short = usual if len(os.fsencode(usual)) <= _LONGEST_ADDRESS // 2 else "/tmp"  # noqa: S108  # made private inside
    with tempfile.TemporaryDirectory(dir=short) as directory:
        shortcut = Path(directory, "home")
        shortcut.symlink_to(path.parent)
        yield str(shortcut / path.name)


async def _hang_up(connection: Connection) -> None:
    connection[1].close()
    with contextlib.suppress(OSError):
        await connection[1].wait_closed()
