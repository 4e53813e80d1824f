"""config show|check|apply: agents.yaml and what is in force."""

import asyncio
import os
from collections.abc import Iterable
from typing import Annotated

import typer

from coordinator.config import fleet
from coordinator.config.identities import Identity
from coordinator.config.settings import Settings
from coordinator.doors import in_force
from coordinator.doors.commands.status import print_keys
from coordinator.doors.failing import BAD_INPUT
from coordinator.doors.options import SETTLE, Json, Root, command
from coordinator.doors.printing import emit, note, say, table
from coordinator.doors.session import opened, question, who
from coordinator.errors import ConfigError, Problem
from coordinator.models import Change
from coordinator.operations import Apply, GetStatus
from coordinator.operations.apply import Applied
from coordinator.operations.status import FleetStatus
from coordinator.replica.applying import parts

File = Annotated[str | None, typer.Argument(metavar="FILE", help="An agents.yaml; else DISPATCH_CONFIG's.")]


def add(app: typer.Typer) -> None:
    """Register them."""
    config = typer.Typer(no_args_is_help=True)
    command(config, SETTLE, "coordinator config show", "coordinator config show --diff ./agents.yaml")(show)
    command(config, SETTLE, "coordinator config check", "coordinator config check ./agents.yaml")(check)
    command(config, SETTLE, "coordinator config apply")(apply)
    app.add_typer(
        config,
        name="config",
        help="agents.yaml: show what is in force, check a file, apply it.",
        rich_help_panel=SETTLE,
    )


def show(
    file: File = None,
    diff: Annotated[bool, typer.Option("--diff", help="Only what the file would change about it.")] = False,
    json: Json = False,
    root: Root = None,
) -> None:
    """Print the limits, rates and settings in force, as Redis holds them for the whole fleet.

    With them the named agents of this host's file, which never enter Redis."""
    settings = Settings.from_environ(os.environ)
    wanted = _apply(settings, file) if diff else None
    named = {} if diff else _identities(settings, file)

    async def run() -> None:
        async with opened(root) as session:
            status = await session.ask(GetStatus())
        if wanted:
            return _differ(status, *wanted, as_json=json)
        return _show_json(status, named) if json else _show(status, named)

    asyncio.run(run())


def _identities(settings: Settings, file: str | None) -> dict[str, Identity]:
    path, _ = settings.config_file(file)
    try:
        text = fleet.read(path, explicit=file is not None)
        return fleet.parse(text, path.name)[0].identities if text is not None else {}
    except ConfigError:
        if file is not None:
            raise
        note(f"{path} can not be used, so its agents are not shown: coordinator config check says why")
        return {}


def _show(status: FleetStatus, named: dict[str, Identity]) -> None:
    rows = [(name, in_force.setting(name, value)) for name, value in status.settings.model_dump().items()]
    table(("setting", "in force"), [*rows, ("default_agent", status.default_agent or "claude")])
    say("")
    print_keys(view for view in status.keys if view.limit is not None and not view.inherited)
    if status.rates:
        say("")
        names = ("reset_utc", "daily_limit", "min_delay", "sustained_delay", "burst_window", "burst_delay")
        parts = ((pool, rates.model_dump(exclude_none=True)) for pool, rates in sorted(status.rates.items()))
        rates = [(pool, *(in_force.setting(name, given.get(name, "-")) for name in names)) for pool, given in parts]
        table(("rates", *names), rates)
    if status.accounts:
        say("")
        table(("accounts of", "names"), [(pool, ", ".join(names)) for pool, names in sorted(status.accounts.items())])
    if status.weights:
        say("")
        table(("weights", "shares"), sorted(status.weights.items()))
    if named:
        say("")
        table(
            ("agent", "host", "runner", "active", "roles"),
            [
                (name, one.host or "", one.runner or "", "yes" if one.active else "no", ", ".join(one.roles))
                for name, one in named.items()
            ],
        )


def _show_json(status: FleetStatus, named: dict[str, Identity]) -> None:
    rates = {pool: one.model_dump(exclude_none=True) for pool, one in status.rates.items()}
    emit({
        "outcome": "config", "settings": status.settings.model_dump(), "default_agent": status.default_agent,
        "limits": in_force.limits_of(status), "rates": rates, "accounts": status.accounts,
        "weights": status.weights,
        "agents": {name: one.model_dump(mode="json", exclude_none=True) for name, one in named.items()},
    })  # fmt: skip


def _differ(status: FleetStatus, asked: Apply, path: str, warnings: list[Problem], *, as_json: bool) -> None:
    for warning in warnings:
        note(f"warning  {warning}")
    found = in_force.changes(status, asked)
    if as_json:
        sides = ({"path": one.path, "in_force": one.was, "in_file": one.now} for one in found)
        told = [{name: side for name, side in one.items() if side is not None} for one in sides]
        return emit({"outcome": "difference", "file": path, "changes": told})
    if not found:
        return say(f"{path} is in force already: applying it would change nothing")
    _table(("path", "in force", "in the file"), found)
    return say(f"apply it with: coordinator config apply {path}")


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
    """Make the limits, rates and settings of an agents.yaml true for the whole fleet.

    What lowers a limit goes first. Runners never leave their host.
    """
    asked, path, warnings = _apply(Settings.from_environ(os.environ), file)
    for warning in warnings:
        note(f"warning  {warning}")

    changed: list[Change] = []

    async def run() -> None:
        async with opened(root) as session:
            async for part in parts(session.ask, asked):
                changed.extend(part)

    try:
        asyncio.run(run())
    except BaseException:
        if changed:
            note(f"{len(changed)} changes of {path} are in force, not all: apply it again, it goes on with the others")
        raise
    reply = Applied(changes=tuple(sorted(changed, key=lambda one: one.path)))
    return emit(reply.model_dump(exclude={"more"}, exclude_none=True)) if json else _print(reply, path)


def _apply(settings: Settings, file: str | None) -> tuple[Apply, str, list[Problem]]:
    path, _ = settings.config_file(file)
    read, warnings = fleet.parse(fleet.read(path) or "", path.name)
    asked = question(
        Apply, limits=read.limits(), rates=read.rates(), accounts=read.accounts, weights=read.weights,
        settings=read.settings(),
        default_agent=read.dispatch.default_agent, by=who(),
    )  # fmt: skip
    return asked, str(path), warnings


def _print(reply: Applied, path: str) -> None:
    if not reply.changes:
        return say(f"{path} is in force already")
    _table(("changed", "was", "now"), reply.changes)
    return say(f"{path} is in force: {len(reply.changes)} changes")


def _table(columns: tuple[str, str, str], changes: Iterable[Change]) -> None:
    sides = ((one.path, in_force.value(one.path, one.was), in_force.value(one.path, one.now)) for one in changes)
    table(columns, sides)
