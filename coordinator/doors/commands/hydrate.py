"""hydrate: bring what lies below a workspace root into the registry."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from coordinator.doors.failing import bad_input
from coordinator.doors.options import SETTLE, Json, Root, command
from coordinator.doors.printing import emit, say
from coordinator.doors.session import opened, question, workspace_root
from coordinator.operations import Track
from coordinator.words import HOST
from workers import host as machine
from workers.hydrate import Hydrated
from workers.hydrate import hydrate as told


def add(app: typer.Typer) -> None:
    """Register it."""
    command(
        app,
        SETTLE,
        "coordinator hydrate",
        "coordinator hydrate --root ~/Code/.core/workspace --host build-1",
    )(hydrate)


def hydrate(
    host: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The host whose disk it is; else the one that worked there, else this machine."
        ),
    ] = None,
    json: Json = False,
    root: Root = None,
) -> None:
    """Bring what lies below the workspace root into the registry: what waits is queued for its host.

    What runs there counts; what the registry knows better stays. Nothing on the disk is changed. A worker does this
    when it starts."""
    asyncio.run(_hydrate(host, root, as_json=json))


async def _hydrate(host: str | None, root: str | None, *, as_json: bool) -> None:
    if host is not None:
        question(Track, workspaces=[], host=host)  # a wrong name is told before anything else
    async with opened(root) as session:
        place = workspace_root(session.settings, root)
        if not place.is_dir():
            raise bad_input(f"there is no directory {place}: name the workspace root with --root")
        name = host or _host_of(place)
        done = await told(session.store, place, name)
    if as_json:
        fields = {"outcome": "hydrated", "root": str(place), "host": name, **done._asdict()}
        problems = [problem._asdict() for problem in done.problems]
        return emit({**fields, "alive": sorted(done.alive), "problems": problems})
    return _print(place, name, done)


def _host_of(root: Path) -> str:
    """The only host that worked below this root, else this machine."""
    hosts = root / ".hosts"
    names = [path.name for path in hosts.iterdir() if HOST.accepts(path.name)] if hosts.is_dir() else []
    return names[0] if len(names) == 1 else machine.name()


def _print(root: Path, host: str, done: Hydrated) -> None:
    some = "1 workspace" if done.found == 1 else f"{done.found} workspaces"
    say(f"{root}, host {host}: {some}, {done.new} new, {done.changed} changed, {done.foreign} of other hosts")
    for name in sorted(done.alive):
        say(f"runs: {name}")
    for problem in done.problems:
        say(f"problem: {problem}", "yellow")
