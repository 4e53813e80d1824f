"""Gemini CLI: how to start it."""

from typing import Final

from workers.agents.options import unless
from workers.agents.sessions import Habits, Session

_APPROVAL: Final = ("--approval-mode", "-y", "--yolo")
HABITS: Final = Habits(("--session-id", "--session-file", "--resume", "-r"))


def command(model: str, args: tuple[str, ...], session: Session | None = None) -> tuple[str, ...]:
    """The program and its arguments; the prompt comes on stdin, events leave as one JSON object a line.

    It answers every question of its tools with yes, as it must to run unattended; an operator asks for less by
    `args`, for instance `[--approval-mode, auto_edit]`.
    """
    approval = unless(args, _APPROVAL, ("--approval-mode", "yolo"))
    chosen = ("-m", model) if model else ()
    kept = ("--resume" if session.goes_on else "--session-id", session.id) if session else ()
    return ("gemini", "--output-format", "stream-json", "--skip-trust", *approval, *chosen, *kept, *args)
