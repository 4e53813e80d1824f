"""What becomes of an error at the door: one line on stderr that says what to do, and an exit code. Never a traceback.

0 done or queued; 1 refused; 2 usage or bad input; 3 Redis can not be reached or used.
"""

import os
import re
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from coordinator.doors.printing import complain, plain
from coordinator.errors import ConfigError, CoordinatorError, InvalidQuestion, StoreUnavailable, StoreUnusable

REFUSED: Final = 1
BAD_INPUT: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
#: The base of all that the parser of arguments raises; where it lives differs between releases of typer.
_USAGE: Final = typer.BadParameter.__mro__[2]


class Door(TyperGroup):
    """The group of all commands: whatever a command raises ends here."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a reader that leaves ends it quietly."""
        try:
            found = super().invoke(ctx)
            if sys.stdout:  # None where it was closed before we began
                sys.stdout.flush()
        except BrokenPipeError:
            _write_no_more()
            raise typer.Exit(BROKEN_PIPE) from None
        return found

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run the command that the arguments name, and exit."""
        extra["standalone_mode"] = False
        sys.exit(_code(lambda: super(Door, self).main(*args, **extra)))


def _write_no_more() -> None:
    """What is still buffered must not be written at exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def refused(message: str) -> typer.Exit:
    """Say why not; raise what this returns."""
    complain(message)
    return typer.Exit(REFUSED)


def bad_input(message: str) -> typer.Exit:
    """Say what is wrong with the input; raise what this returns."""
    complain(message)
    return typer.Exit(BAD_INPUT)


def code_of(error: CoordinatorError) -> int:
    """The exit code of an error."""
    if isinstance(error, ConfigError | InvalidQuestion):
        return BAD_INPUT
    return UNREACHABLE if isinstance(error, StoreUnavailable | StoreUnusable) else REFUSED


def _code(command: Callable[[], object]) -> int:
    try:
        code = command()
        return code if isinstance(code, int) else 0
    except CoordinatorError as error:
        for line in str(error).splitlines():
            complain(line)
        return code_of(error)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except OSError as error:  # a file or a directory that a command did not foresee, or where its output goes
        if sys.flags.dev_mode:
            raise
        if error.filename is None:
            _write_no_more()
        where = plain(str(error.filename)) if error.filename else "the output can not be written"
        complain(f"{where}: {error.strerror or error}")
        return REFUSED
    except Exception as error:
        if isinstance(error, _USAGE):
            return _usage(error)
        if sys.flags.dev_mode:
            raise
        complain(f"a bug: {type(error).__name__}: {error} (python -X dev -m coordinator shows where)")
        return REFUSED


def _usage(error: Any) -> int:
    message = str(error.format_message()).strip().rstrip(".")
    message = re.sub(r"\. Did you mean (.*)\?$", r" (did you mean \1?)", message)
    if message:  # empty: the help was printed instead
        command = getattr(getattr(error, "ctx", None), "command_path", "coordinator")
        complain(f"{message[0].lower()}{message[1:]}; see {command} --help")
    return int(error.exit_code)
