"""Gemini CLI: how to start it."""

from typing import Final

from workers.agents.options import unless

_APPROVAL: Final = ("--approval-mode", "-y", "--yolo")


def command(model: str, args: tuple[str, ...]) -> tuple[str, ...]:
    """The program and its arguments; the prompt comes on stdin, events leave as one JSON object a line.

    It answers every question of its tools with yes, as it must to run unattended; an operator asks for less by
    `args`, for instance `[--approval-mode, auto_edit]`.
    """
    approval = unless(args, _APPROVAL, ("--approval-mode", "yolo"))
    chosen = ("-m", model) if model else ()
    return ("gemini", "--output-format", "stream-json", "--skip-trust", *approval, *chosen, *args)
