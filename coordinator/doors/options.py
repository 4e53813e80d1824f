"""Options that many commands take, and how a command is registered with its examples."""

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import typer

Command = TypeVar("Command", bound=Callable[..., Any])

WORK: Final = "Give work"
LOOK: Final = "Look"
STEER: Final = "Steer"
SETTLE: Final = "Set up"
RUN: Final = "Run"

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Root = Annotated[
    str | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Workspace root whose embedded server is meant, where REDIS_URL is not set.",
        show_default=False,
    ),
]
Config = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="The agents.yaml to read, else DISPATCH_CONFIG's."),
]
Workspace = Annotated[str, typer.Argument(metavar="WORKSPACE", help="Its name, such as core/go-io/task-5.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; shown to whoever asks.")]
NotBefore = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Do not start it before: +2h, 18:30 or 2026-11-24T18:30:00Z.", show_default=False
    ),
]
Deadline = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="It has failed when it has not started by then; forms as --not-before."),
]
Timeout = Annotated[
    str | None,
    typer.Option("--timeout", metavar="DURATION", help="At most so long: 90s, 5m, 1h30m; a bare number is seconds."),
]


def command(app: typer.Typer, panel: str, *examples: str, **settings: Any) -> Callable[[Command], Command]:
    """Register a command in a panel of the help, with examples of what to type below its options."""
    lines = [f"[dim]example:[/dim]  {example}" for example in examples]

    def register(function: Command) -> Command:
        app.command(rich_help_panel=panel, epilog="\n\n".join(lines), **settings)(function)
        return function

    return register
