"""Claude Code: how to start it."""

from typing import Final

from workers.agents.options import unless
from workers.agents.sessions import Habits, Session

_PERMISSION: Final = ("--permission-mode", "--dangerously-skip-permissions")
HABITS: Final = Habits(
    ("--session-id", "--resume", "-r", "--continue", "-c", "--fork-session", "--no-session-persistence")
)


def command(model: str, args: tuple[str, ...], session: Session | None = None) -> tuple[str, ...]:
    """The program and its arguments; the prompt comes on stdin, events leave as one JSON object a line.

    It may edit files in its directory without asking. An operator grants more by `args`, for instance
    `[--permission-mode, bypassPermissions]` to let it run any command. It refuses an id that it has used before, and
    to go on with one it does not know.
    """
    mode = unless(args, _PERMISSION, ("--permission-mode", "acceptEdits"))
    chosen = ("--model", model) if model else ()
    kept = ("--resume" if session.goes_on else "--session-id", session.id) if session else ()
    return ("claude", "-p", "--output-format", "stream-json", "--verbose", *mode, *chosen, *kept, *args)
