"""config show|check|apply: agents.yaml and what is in force."""

import asyncio
import os
from typing import Annotated

import typer

from coordinator.config import fleet
from coordinator.config.measures import written
from coordinator.config.settings import Settings
from coordinator.doors.commands.status import print_keys
from coordinator.doors.failing import BAD_INPUT
from coordinator.doors.options import SETTLE, Json, Root, command
from coordinator.doors.printing import emit, note, say, table
from coordinator.doors.session import opened, question, who
from coordinator.errors import ConfigError, Problem
from coordinator.operations import Apply, GetStatus
from coordinator.operations.apply import Applied

File = Annotated[str | None, typer.Argument(metavar="FILE", help="An agents.yaml; else DISPATCH_CONFIG's.")]


def add(app: typer.Typer) -> None:
    """Register them."""
    config = typer.Typer(no_args_is_help=True)
    command(config, SETTLE, "coordinator config show")(show)
    command(config, SETTLE, "coordinator config check", "coordinator config check ./agents.yaml")(check)
    command(config, SETTLE, "coordinator config apply")(apply)
    app.add_typer(
        config,
        name="config",
        help="agents.yaml: show what is in force, check a file, apply it.",
        rich_help_panel=SETTLE,
    )


def show(json: Json = False, root: Root = None) -> None:
    """Print the limits and settings in force, as Redis holds them for the whole fleet."""

    async def run() -> None:
        async with opened(root) as session:
            status = await session.ask(GetStatus())
        settings, agent = status.settings.model_dump(), status.default_agent
        if json:
            limits = {view.key: view.limit for view in status.keys if view.limit is not None}
            return emit({"outcome": "config", "settings": settings, "default_agent": agent, "limits": limits})
        counts = {"max_attempts", "history"}
        rows = [(name, value if name in counts else written(value)) for name, value in settings.items()]
        table(("setting", "in force"), [*rows, ("default_agent", agent or "claude")])
        say("")
        return print_keys(view for view in status.keys if view.limit is not None)

    asyncio.run(run())


def check(file: File = None, json: Json = False) -> None:
    """Say all that is wrong or odd in an agents.yaml.

    Needs no server. Exit 2 when it can not be used."""
    path, _ = Settings.from_environ(os.environ).config_file(file)
    problems: list[Problem] = []
    warnings: list[Problem] = []
    try:
        _, warnings = fleet.parse(fleet.read(path) or "", path.name)
    except ConfigError as error:
        problems = error.problems
    if json:
        found = {"problems": [one._asdict() for one in problems], "warnings": [one._asdict() for one in warnings]}
        emit({"outcome": "checked", "file": str(path), "ok": not problems} | found)
    else:
        for problem in problems:
            say(f"error    {problem}", "red")
        for warning in warnings:
            say(f"warning  {warning}", "yellow")
        said = "can not be used" if problems else "is good"
        say(f"{path} {said}: {len(problems)} errors, {len(warnings)} warnings")
    if problems:
        raise typer.Exit(BAD_INPUT)


def apply(file: File = None, json: Json = False, root: Root = None) -> None:
    """Make the limits, rates and settings of an agents.yaml true for the whole fleet, at once.

    Runners never leave their host.
    """
    asked, path, warnings = _apply(Settings.from_environ(os.environ), file)
    for warning in warnings:
        note(f"warning  {warning}")

    async def run() -> None:
        async with opened(root) as session:
            reply = await session.ask(asked)
        if json:
            return emit(reply)
        return _print(reply, path)

    asyncio.run(run())


def _apply(settings: Settings, file: str | None) -> tuple[Apply, str, list[Problem]]:
    path, _ = settings.config_file(file)
    read, warnings = fleet.parse(fleet.read(path) or "", path.name)
    asked = question(
        Apply, limits=read.limits(), rates=read.rates(), settings=read.settings(),
        default_agent=read.dispatch.default_agent, by=who(),
    )  # fmt: skip
    return asked, str(path), warnings


def _print(reply: Applied, path: str) -> None:
    if not reply.changes:
        return say(f"{path} is in force already")
    rows = [(change.path, _value(change.path, change.was), _value(change.path, change.now)) for change in reply.changes]
    table(("changed", "was", "now"), rows)
    return say(f"{path} is in force: {len(reply.changes)} changes")


def _value(path: str, value: int | str | None) -> str:
    if value is None:
        return "unlimited" if path.startswith("limits.") else "-"
    times = ("lease_ttl", "beat", "kill_grace", "spawn_timeout")
    return written(value) if isinstance(value, int) and path.rpartition(".")[2] in times else str(value)
