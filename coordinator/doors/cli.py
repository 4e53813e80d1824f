"""The command line `coordinator`: which commands there are. What an error becomes is in failing.py."""

import importlib
import sys
from collections.abc import Sequence
from typing import Final

import typer

from coordinator.doors.failing import Door

_HELP = """Decide which coding agent may start now, on many hosts sharing one Redis queue.

The first three to type:

[bold]coordinator init[/bold]      an agents.yaml from the agent programs on this machine

[bold]coordinator up[/bold]        a server, a replica and a worker, until Ctrl-C

[bold]coordinator dispatch --task 'Say hello' --wait[/bold]      in a second terminal

Without REDIS_URL the server of the workspace root is used; every command that answers takes --json.
Exit codes: 0 done or queued, 1 refused, 2 usage or bad input, 3 Redis can not be reached."""

#: The modules of commands/ and what each adds, in the order of the help.
COMMANDS: Final = {
    "demo": ("demo",),
    "serve": ("up", "serve"),
    "mcp": ("mcp",),
    "setup": ("init", "library"),
    "hydrate": ("hydrate",),
    "dispatch": ("dispatch",),
    "wait": ("wait",),
    "resume": ("resume",),
    "status": ("status",),
    "why": ("why",),
    "workspaces": ("workspaces",),
    "history": ("history",),
    "hosts": ("hosts", "host"),
    "logs": ("logs",),
    "events": ("events",),
    "doctor": ("doctor",),
    "gate": ("start", "stop"),
    "kill": ("kill",),
    "queue": ("cancel", "retry", "poke"),
    "priority": ("priority",),
    "complete": ("complete",),
    "limits": ("limits", "backoff"),
    "config": ("config",),
}


def door(words: Sequence[str] = ()) -> typer.Typer:
    """The command line for these words: where they begin with a command, without the others, which take time to load.

    All commands where they do not, for the help or for a guess at what was meant.
    """
    app = typer.Typer(
        cls=Door,
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(lambda: None)  # a single command stays one that is named
    asked = [module for module, names in COMMANDS.items() if words and words[0] in names]
    for module in asked or COMMANDS:
        importlib.import_module(f"coordinator.doors.commands.{module}").add(app)
    return app


def main() -> None:
    """The console script: run the command that the arguments name, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name from a command line may hold bytes that are no text
    door(sys.argv[1:])(prog_name="coordinator")
