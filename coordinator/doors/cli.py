"""The command line `coordinator`: which commands there are. What an error becomes is in failing.py."""

import sys

import typer

from coordinator.doors.commands import (
    complete,
    config,
    demo,
    dispatch,
    doctor,
    events,
    gate,
    hosts,
    kill,
    limits,
    logs,
    queue,
    serve,
    setup,
    status,
    wait,
    why,
    workspaces,
)
from coordinator.doors.failing import Door

_HELP = """Decide which coding agent may start now, on many hosts sharing one Redis queue.

The first three to type:

[bold]coordinator init[/bold]      an agents.yaml from the agent programs on this machine

[bold]coordinator up[/bold]        a server, a replica and a worker, until Ctrl-C

[bold]coordinator dispatch --task 'Say hello' --wait[/bold]      in a second terminal

Without REDIS_URL the server of the workspace root is used; every command that answers takes --json.
Exit codes: 0 done or queued, 1 refused, 2 usage or bad input, 3 Redis can not be reached."""

app = typer.Typer(
    cls=Door,
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
#: In the order of the help.
_COMMANDS = (
    (demo, serve, setup, dispatch, wait),
    (status, why, workspaces, hosts, logs, events, doctor),
    (gate, kill, queue, complete, limits, config),
)
for group in _COMMANDS:
    for module in group:
        module.add(app)


def main() -> None:
    """The console script: run the command that the arguments name, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name from a command line may hold bytes that are no text
    app(prog_name="coordinator")
