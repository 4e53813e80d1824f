"""Codex: how to start it, and where it says which session it is in."""

import json
from typing import Any, Final

from workers.agents.options import unless
from workers.agents.sessions import UUID, Habits, Session

_SANDBOX: Final = ("-s", "--sandbox", "--dangerously-bypass-approvals-and-sandbox")


def command(model: str, args: tuple[str, ...], session: Session | None = None) -> tuple[str, ...]:
    """The program and its arguments; the prompt comes on stdin, events leave as one JSON object a line.

    Its own sandbox lets it write below its directory only; an operator chooses another by `args`. It chooses the ids of
    its sessions itself. One that goes on needs every option again, before the word `resume`, which knows fewer.
    """
    sandbox = unless(args, _SANDBOX, ("-s", "workspace-write"))
    chosen = ("-m", model) if model else ()
    kept = ("resume", session.id) if session and session.goes_on else ()
    return ("codex", "exec", "--json", "--skip-git-repo-check", *sandbox, *chosen, *args, *kept, "-")


def thread(said: str) -> str | None:
    """The id of the session, from the first event that names it; None when none does."""
    for line in said.splitlines():
        try:
            event: Any = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and event.get("type") == "thread.started":
            found = str(event.get("thread_id"))
            return found if UUID.fullmatch(found) else None
    return None


HABITS: Final = Habits(("resume", "fork", "--ephemeral"), thread)
