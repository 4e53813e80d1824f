"""Codex: how to start it."""

from typing import Final

from workers.agents.options import unless

_SANDBOX: Final = ("-s", "--sandbox", "--dangerously-bypass-approvals-and-sandbox")


def command(model: str, args: tuple[str, ...]) -> tuple[str, ...]:
    """The program and its arguments; the prompt comes on stdin, events leave as one JSON object a line.

    Its own sandbox lets it write below its directory only; an operator chooses another by `args`.
    """
    sandbox = unless(args, _SANDBOX, ("-s", "workspace-write"))
    chosen = ("-m", model) if model else ()
    return ("codex", "exec", "--json", "--skip-git-repo-check", *sandbox, *chosen, *args, "-")
