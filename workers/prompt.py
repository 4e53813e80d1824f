"""What an agent is told: its task, and what it must know of the runs before it. Pure functions."""

from coordinator.models import Grant

_ANSWERED = "The answer stands in ANSWER.md in this directory, and reads:"
_AGAIN = (
    "An earlier run of this task has ended in this directory. Look at what it left, also in git, and go on from there: "
    "do not begin anew what is done."
)


def prompt(grant: Grant, *, goes_on: bool, again: bool) -> str:
    """The task; after it the answer to the question of an earlier run, alone where the agent's own session goes on.

    `again` is for a program that is told in prose and starts anew in a directory where a run has worked: it reads that
    this is so. The reference runner says so to every drained task, and has it commit when it is done; here the task
    alone says when to commit, and a first run, or one on another host, finds nothing to go on from and is told nothing.
    """
    if grant.answer is not None:
        if goes_on:
            return f"The question that you left in BLOCKED.md was answered. {_ANSWERED}\n\n{grant.answer}"
        asked = "An earlier run of this task worked in this directory and left a question, which was answered."
        return _joined(grant.task, f"{asked} {_ANSWERED}\n\n{grant.answer}")
    return _joined(grant.task, _AGAIN) if again else grant.task


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
