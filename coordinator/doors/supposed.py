"""What would start with other limits, as people and programs are told it."""

from coordinator.doors.printing import say, table
from coordinator.doors.session import question
from coordinator.errors import InvalidQuestion, Problem
from coordinator.operations import WhatIf
from coordinator.operations.what_if import Supposed
from coordinator.words import shown

NO_LIMIT = ("none", "clear")


def asked(settings: list[str], count: int | None = None) -> WhatIf:
    """The question of `codex=8` and the like; `none` is no limit."""
    limits: dict[str, int] = {}
    clear: list[str] = []
    problems: list[Problem] = []
    for text in settings:
        key, equals, value = text.rpartition("=")
        if equals and value in NO_LIMIT:
            clear.append(key)
        elif equals and value.isascii() and value.isdigit() and len(value) <= 14:
            limits[key] = int(value)
        else:
            fix = "write --what-if codex=8; 0 closes the key, none removes its limit"
            problems.append(Problem("--what-if", f"must be KEY=N or KEY=none, got {shown(text)}", fix))
    if problems:
        raise InvalidQuestion(problems)
    return question(WhatIf, limits=limits or None, clear=clear or None, count=count)


def show(found: Supposed) -> None:
    """Two tables: what would start, and what keeps the next ones."""
    if found.starts:
        rows = [(one.workspace, one.agent, one.host) for one in found.starts]
        table(("would start now", "agent", "on"), rows)
    else:
        say("nothing more would start now")
    if found.more:
        say("and more: this is not all that would start")
    if found.refusal:
        say(f"then {found.refusal.text}")
    if found.kept:
        say("")
        table(("would still wait", "because"), [(one.workspace, one.refusal.text) for one in found.kept])
