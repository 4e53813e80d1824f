"""The `runners` section: which command a host starts for a pool, with which input, environment, time and memory.

Runners never enter Redis: each host trusts only its own file, so writing to Redis cannot run a command on a host.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from coordinator.config.measures import Size, SomeSize, SomeTime
from coordinator.config.sections import Part
from coordinator.errors import Problem
from coordinator.problems import guess, path
from coordinator.words import shown, wrong

#: What a `{name}` in an argument may stand for. All other braces stay as they are.
PLACEHOLDERS: Final = ("workspace", "dir", "task", "agent", "model", "repo", "branch", "account")
_BRACED: Final = tuple(f"{{{name}}}" for name in PLACEHOLDERS)
PLACEHOLDER: Final = re.compile("{(" + "|".join(PLACEHOLDERS) + ")}")
#: The agent programs that workers know how to start (workers/agents holds one file for each).
ADAPTERS: Final = ("claude", "codex", "gemini")
_SHELLS: Final = {"sh", "bash", "dash", "zsh", "ksh"}
_FREE_TEXT: Final = re.compile("{(task|branch|dir)}")  # may hold quotes, `$(...)` and the like
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _text(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # `[sleep, 5]`: only numbers that are written in one way were read as numbers
    if isinstance(value, str) and "\0" in value:
        raise wrong("must not hold a NUL character", "leave it out")
    return value


def _command(value: Any) -> Any:
    if isinstance(value, str):
        raise wrong(f"must be a list of arguments, not one shell text, got {shown(value)}", _as_list(value))
    if isinstance(value, list | tuple) and not value:
        raise wrong("must name a program", "write command: [my-agent, '{task}']")
    return value


def _as_list(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    if re.search(r"[|&;<>$`*\n]", text):
        words = ["sh", "-c", text]  # only a shell can read this one
    return f"write command: [{', '.join(_quoted(word) for word in words)}]" if len(text) <= 200 else "write a list"


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[A-Za-z0-9_./=-]*[A-Za-z0-9_./=]", word) else "'" + word.replace("'", "''") + "'"


def _program(command: tuple[str, ...]) -> tuple[str, ...]:
    if not command[0]:
        raise wrong("must begin with a program, got ''", "write its name or path first")
    if PLACEHOLDER.search(command[0]):
        # Whoever may submit work could otherwise choose the program.
        raise wrong(f"must begin with a fixed program, got {shown(command[0])}", "name the program itself")
    return command


def _adapter(value: str) -> str:
    if value not in ADAPTERS:
        raise wrong(f"{shown(value)} is not one of {', '.join(ADAPTERS)}", guess(value, ADAPTERS) or "write a command")
    return value


def _stdin(value: str) -> str:
    if value not in {"task", "none"} and not PLACEHOLDER.search(value):
        raise wrong(
            f"must be task, none or a text with a placeholder such as {{task}}, got {shown(value)}", "write task"
        )
    return value


def _environment(value: Any) -> Any:
    """Names and pairs, in a list or a mapping, as one mapping; a name without a value is passed through."""
    parts = value if isinstance(value, list) else [value]
    found: dict[str, Any] = {}
    for part in parts:
        if isinstance(part, str):
            found[part] = None
        elif isinstance(part, Mapping):
            found.update(part)
        else:
            raise wrong(f"must be names to pass through, or lines of NAME: value, got {shown(part)}", "write [NAME]")
    return found


def _variables(value: dict[str, str | None]) -> dict[str, str | None]:
    for name, text in value.items():
        bare = name.removesuffix("*") if text is None else name
        if not _VARIABLE.fullmatch(bare):
            fix = f"write {name.replace('=', ': ', 1)}" if "=" in name and len(name) <= 60 else "write it like API_KEY"
            raise wrong(f"{shown(name)} is not the name of a variable", fix)
    return value


Argument = Annotated[str, BeforeValidator(_text)]
Command = Annotated[tuple[Argument, ...], BeforeValidator(_command), AfterValidator(_program)]
Variables = Annotated[
    dict[str, Annotated[str, BeforeValidator(_text)] | None], BeforeValidator(_environment), AfterValidator(_variables)
]


class Runner(Part):
    """How this host starts the agents of one pool: a command of its own, or an adapter for a known program."""

    command: Command | None = None
    adapter: Annotated[str, AfterValidator(_adapter)] | None = None
    args: tuple[Argument, ...] = ()
    #: Variables beyond the usual ones: name to value, or to None to pass the host's own value through.
    env: Variables = Field(default_factory=dict)
    stdin: Annotated[str, AfterValidator(_stdin)] | None = None
    timeout: SomeTime | None = 3_600_000  # where none is named, dispatch.timeout_minutes decides; None: any length
    memory: Size | None = None  # what one agent is reckoned at
    memory_max: Size | None = None  # of its whole tree; one that takes more is ended
    log_max: SomeSize | None = 256 << 20
    log_full: Literal["cut", "end"] = "cut"
    stalled: SomeTime | None = None  # None: an agent may do nothing for any length

    def within(self, timeout: int | None) -> "Runner":
        """The same, with this time limit where it names none."""
        return self if "timeout" in self.model_fields_set else self.model_copy(update={"timeout": timeout})


def contradictions(pool: str, given: object) -> Iterator[Problem]:
    """What no single field of a runner can see: exactly one of command and adapter."""
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        return
    place = path("runners", pool)
    count = sum(given.get(field) is not None for field in ("command", "adapter"))
    if count == 2:
        yield Problem(place, "has both a command and an adapter", "keep one of them")
    if count == 0:
        fix = f"write adapter: {pool}" if pool in ADAPTERS else "write command: [my-agent, '{task}']"
        yield Problem(place, "has neither a command nor an adapter", fix)


def oddities(pool: str, runner: Runner) -> Iterator[Problem]:
    """Warnings about a valid runner: a mistyped placeholder, and free text inside a shell's text."""
    place = path("runners", pool)
    for field, arguments in (
        ("command", runner.command or ()),
        ("args", runner.args),
        ("stdin", (runner.stdin or "",)),
    ):
        for at, argument in enumerate(arguments):
            for name in re.findall(r"{([a-z_]{1,30})}", argument):
                if name not in PLACEHOLDERS and (near := guess(f"{{{name}}}", _BRACED)):
                    where = path(place, field) if field == "stdin" else path(place, field, at)
                    yield Problem(where, f"{{{name}}} is no placeholder and stays as it is", near)
    command = runner.command or ("",)
    if PurePath(command[0]).name in _SHELLS and len(command) > 2 and command[1].startswith("-") and "c" in command[1]:
        for name in _FREE_TEXT.findall(command[2]):
            fix = f"pass it as an argument: [sh, -c, 'my-agent \"$1\"', sh, '{{{name}}}']"
            yield Problem(path(place, "command", 2), f"the shell would run what {{{name}}} holds", fix)
