"""The command `worker`: one host of the fleet."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from coordinator import (
    ConfigError,
    CoordinatorError,
    Renew,
    Settings,
    Store,
    StoreUnavailable,
    StoreUnusable,
    embedded,
    first,
    log,
    problems_of,
)
from coordinator.config import fleet
from workers import host as machine
from workers.guards import bury
from workers.served import served
from workers.start import home_of
from workers.worker import Worker

_GIVEN_AS: Final = {"host": "--host", "labels": "--label", "pools": "runners of agents.yaml"}

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Runs agents on this host, as the fleet allows.")


@app.callback()
def _only() -> None:
    """Keeps `run` a command of its own."""


@app.command()
def run(
    host: Annotated[str | None, typer.Option(help="This host's name in the fleet; the machine's by default.")] = None,
    slots: Annotated[int, typer.Option(min=1, max=1024, help="The most agents to run here at once.")] = 4,
    root: Annotated[str | None, typer.Option(help="The directory of all workspaces.")] = None,
    config: Annotated[str | None, typer.Option(help="agents.yaml with this host's runners.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="What this host has, such as gpu. May be repeated.")] = None,
) -> None:
    """Claim work and run it until told to stop.

    The first SIGTERM or Ctrl-C takes no more work and lets what runs end; the second ends it.

    Example: REDIS_URL=redis://queue:6379 worker run --host build-1 --slots 8
    """
    log.configure()
    try:
        asyncio.run(_run(host or machine.name(), slots, root, config, label or []))
    except (CoordinatorError, ExceptionGroup) as error:
        cause = first(error)
        if not isinstance(cause, CoordinatorError):
            raise
        for line in str(cause).splitlines():
            print(f"worker: {line}", file=sys.stderr)
        code = 2 if isinstance(cause, ConfigError) else 3 if isinstance(cause, StoreUnavailable | StoreUnusable) else 1
        raise SystemExit(code) from None


async def _run(host: str, slots: int, root_option: str | None, config: str | None, labels: list[str]) -> None:
    settings = Settings.from_environ(os.environ)
    path, named = settings.config_file(config)
    known = fleet.load(path, explicit=named)
    runners = served(known, path)
    root = settings.workspace_root(root_option, known.dispatch.workspace_root)
    await make_ready(root, host, slots, runners, labels)
    with ExitStack() as held:
        url = settings.redis_url or held.enter_context(embedded.hold(root)).url
        async with Store.connect(url, settings.root) as store:
            await store.server()
            worker = Worker(store, root, runners, host=host, slots=slots, labels=labels)
            stop_by_signals(worker)
            logging.getLogger(__name__).info(
                "working host=%s slots=%d root=%s redis=%s", host, slots, root, store.where
            )
            await worker.run()


async def make_ready(root: Path, host: str, slots: int, pools: Iterable[str], labels: list[str]) -> None:
    """What a worker does before it looks for a server: room for its agents, and an end of what an earlier one left.

    First of all ConfigError for what no host can be: its name becomes part of a path. Nothing is made on the disk.
    """
    try:
        Renew(host=host, incarnation="none", pools=sorted(pools), labels=labels)
    except ValidationError as error:
        problems = problems_of(error)
        raise ConfigError([one._replace(field=_GIVEN_AS[one.field.partition(".")[0]]) for one in problems]) from None
    runs = home_of(root, host) / "runs"
    machine.look_at(runs)
    machine.open_files(slots)
    await bury(runs)


def stop_by_signals(worker: Worker) -> None:
    """First SIGTERM or SIGINT: quiet. The second: stop."""
    loop, heard = asyncio.get_running_loop(), []

    def hear() -> None:
        heard.append(1)
        if len(heard) == 1:
            logging.getLogger(__name__).info("quiet: what runs may end; a second signal ends it")
            worker.quiet()
        else:
            worker.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, hear)


def main() -> None:
    """The console script `worker`."""
    app()
