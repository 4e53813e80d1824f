"""The agent programs we know how to start, by the names that `adapter:` takes."""

from collections.abc import Callable, Mapping
from typing import Final

from workers.agents import claude, codex, gemini
from workers.agents.sessions import Habits, Session

#: Adapter to the command for (model, further arguments, session); an empty model leaves the choice to the program.
COMMANDS: Final[Mapping[str, Callable[[str, tuple[str, ...], Session | None], tuple[str, ...]]]] = {
    "claude": claude.command,
    "codex": codex.command,
    "gemini": gemini.command,
}
HABITS: Final[Mapping[str, Habits]] = {"claude": claude.HABITS, "codex": codex.HABITS, "gemini": gemini.HABITS}
