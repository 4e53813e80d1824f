"""The agent programs we know how to start, by the names that `adapter:` takes."""

from collections.abc import Callable, Mapping
from typing import Final

from workers.agents import claude, codex, gemini

#: Adapter to the command for (model, further arguments); an empty model leaves the choice to the program.
COMMANDS: Final[Mapping[str, Callable[[str, tuple[str, ...]], tuple[str, ...]]]] = {
    "claude": claude.command,
    "codex": codex.command,
    "gemini": gemini.command,
}
