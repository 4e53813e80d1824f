"""serve and up: the commands that go on until they are told to stop."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from coordinator import replica
from coordinator.config import fleet
from coordinator.config.fleet import Fleet
from coordinator.config.settings import Settings
from coordinator.doors.options import RUN, Config, Root, command
from coordinator.doors.printing import say
from coordinator.doors.session import server_of
from coordinator.errors import first
from coordinator.log import configure
from coordinator.store import Store
from workers import host as machine
from workers.cli import make_ready, stop_by_signals
from workers.served import served
from workers.worker import Worker


def add(app: typer.Typer) -> None:
    """Register them."""
    command(app, RUN, "coordinator up", "coordinator up --slots 8 --root ~/agents")(up)
    command(app, RUN, "REDIS_URL=redis://queue:6379 coordinator serve")(serve)


def serve(config: Config = None, root: Root = None) -> None:
    """One replica: hears reports and pokes, sweeps what time makes due. Run as many as you like; any may die.

    A new namespace takes its limits from agents.yaml, and is frozen unless CORE_AGENT_DISPATCH=1.
    """
    configure()
    _unpacked(_serve(config, root))


def up(
    config: Config = None,
    root: Root = None,
    slots: Annotated[int, typer.Option(min=1, max=1024, help="The most agents to run here at once.")] = 4,
    host: Annotated[str | None, typer.Option(help="This host's name; the machine's by default.")] = None,
) -> None:
    """All of one machine: the embedded server, a replica and a worker.

    A new namespace begins thawed; one that somebody stopped stays so until coordinator start.
    The first Ctrl-C takes no more work and lets what runs end; the second ends it.
    """
    configure()
    _unpacked(_up(config, root, slots, host))


async def _serve(config: str | None, root: str | None) -> None:
    settings, known, place = _known(config, root)
    async with _store(settings, place) as store:
        stop = asyncio.Event()
        replica.stop_on_signals(stop)
        await replica.begin(store, known, thawed=settings.thawed)
        await replica.serve(store, stop)


async def _up(config: str | None, root: str | None, slots: int, host: str | None) -> None:
    settings, known, place = _known(config, root)
    runners, host = served(known, settings.config_file(config)[0]), host or machine.name()
    await make_ready(place, host, slots, runners, labels=[])
    async with _store(settings, place) as store:
        await replica.begin(store, known, thawed=True, by="up")
        worker = Worker(store, place, runners, host=host, slots=slots, labels=[])
        stop_by_signals(worker)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(replica.serve(store, stop))
            try:
                await worker.run()
            finally:
                stop.set()


def _known(config: str | None, root: str | None) -> tuple[Settings, Fleet, Path]:
    settings = Settings.from_environ(os.environ)
    path, named = settings.config_file(config)
    known = fleet.load(path, explicit=named)
    return settings, known, settings.workspace_root(root, known.dispatch.workspace_root)


@contextlib.asynccontextmanager
async def _store(settings: Settings, root: Path) -> AsyncIterator[Store]:
    """The store of REDIS_URL, else of the embedded server of this root, held as long as this process needs it."""
    with server_of(settings, root) as (url, line):
        async with Store.connect(url, settings.root) as store:
            await store.server()
            say(f"look yourself: {line}    (keys begin with {settings.root})")
            yield store


def _unpacked(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end; of several errors in loops the first is the one to tell."""
    try:
        asyncio.run(main)
    except ExceptionGroup as group:
        raise first(group) from None
