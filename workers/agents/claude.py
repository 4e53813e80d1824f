"""Claude Code: how to start it."""

from typing import Final

from workers.agents.options import unless

_PERMISSION: Final = ("--permission-mode", "--dangerously-skip-permissions")


def command(model: str, args: tuple[str, ...]) -> tuple[str, ...]:
    """The program and its arguments; the prompt comes on stdin, events leave as one JSON object a line.

    It may edit files in its directory without asking. An operator grants more by `args`, for instance
    `[--permission-mode, bypassPermissions]` to let it run any command.
    """
    mode = unless(args, _PERMISSION, ("--permission-mode", "acceptEdits"))
    chosen = ("--model", model) if model else ()
    return ("claude", "-p", "--output-format", "stream-json", "--verbose", *mode, *chosen, *args)
