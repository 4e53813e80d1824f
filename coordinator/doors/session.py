"""The open store of one command: which server, how long to be patient with it, and questions from typed words."""

import asyncio
import contextlib
import getpass
import os
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from coordinator import embedded
from coordinator.config import fleet
from coordinator.config.measures import millis
from coordinator.config.settings import Settings
from coordinator.doors import redis_cli
from coordinator.errors import InvalidQuestion, Problem, StoreUnavailable
from coordinator.operations._operation import Operation, question
from coordinator.store import Store

Reply = TypeVar("Reply")
Answer = TypeVar("Answer")

__all__ = ["PATIENCE", "Session", "address", "duration", "opened", "question", "server_of", "who", "workspace_root"]

PATIENCE: Final = 6.0
"""Seconds a person waits for Redis before it counts as unreachable; the store itself tries longer."""


@dataclass(frozen=True)
class Session:
    """One namespace on one server. `cli` is the redis-cli line of that server."""

    settings: Settings
    store: Store
    cli: str

    async def ask(self, operation: Operation[Reply]) -> Reply:
        """Ask for one atomic change; StoreUnavailable when no answer comes in time. Asked in one gather: one trip."""
        return await self.within(self.store.run(operation))

    async def run(self, operation: Operation[Reply]) -> Reply:
        """The same; with `publish`, what the actions need."""
        return await self.ask(operation)

    async def publish(self, json: str) -> int:
        """Say something on the bus, in time; the answer is how many heard it."""
        return await self.within(self.store.publish(json))

    async def close(self) -> None:
        """End the connections. Calls to a server that does not answer are not waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self.store.close()

    async def within(self, answer: Awaitable[Answer]) -> Answer:
        """What `answer` gives, in time."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await answer
        except TimeoutError:
            said = f"Redis at {self.store.where} gave no answer within {PATIENCE:.0f}s"
            raise StoreUnavailable(f"{said}: is it running, and is REDIS_URL right?") from None


def address(settings: Settings, root: str | None = None) -> tuple[str, str]:
    """URL and redis-cli line of REDIS_URL's server, else of the embedded one of the workspace root.

    StoreUnavailable when there is neither.
    """
    if settings.redis_url:
        return settings.redis_url, redis_cli.line(settings.redis_url)
    place = workspace_root(settings, root)
    server = embedded.find(place)
    if server is None:
        raise StoreUnavailable(f"no server runs for {place}: start one with `coordinator up`, or set REDIS_URL")
    return server.url, server.cli


@contextlib.asynccontextmanager
async def opened(root: str | None = None) -> AsyncIterator[Session]:
    """The session of one command, on the server at `address`."""
    settings = Settings.from_environ(os.environ)
    url, line = address(settings, root)
    session = Session(settings, Store.connect(url, settings.root), line)
    try:
        yield session
    finally:
        await session.close()


@contextlib.contextmanager
def server_of(settings: Settings, root: Path) -> Iterator[tuple[str, str]]:
    """URL and redis-cli line of REDIS_URL's server, else of the embedded one of this root, held meanwhile."""
    if settings.redis_url:
        yield settings.redis_url, redis_cli.line(settings.redis_url)
    else:
        with embedded.hold(root) as server:
            yield server.url, server.cli


def workspace_root(settings: Settings, option: str | None) -> Path:
    """The directory of all workspaces: `--root`, else the one agents.yaml names, else below the core directory."""
    named: str | None = None
    if option is None:
        file, explicit = settings.config_file()
        text = fleet.read(file, explicit=explicit)
        named = fleet.parse(text, file.name)[0].dispatch.workspace_root if text is not None else None
    return settings.workspace_root(option, named)


def duration(name: str, text: str) -> int:
    """Milliseconds of `90s`, `1h30m`, or a number of seconds. Raises InvalidQuestion under `name`."""
    try:
        return millis(text)
    except ValueError as error:
        context = getattr(error, "context", None) or {}
        raise InvalidQuestion([Problem(name, str(context.get("problem", error)), context.get("fix", ""))]) from None


def who() -> str | None:
    """The person at this door, for the record of what was done; None when nobody knows."""
    try:
        return getpass.getuser()[:100]
    except (OSError, KeyError):
        return None
