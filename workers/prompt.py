"""What an agent is told: its task, and what it must know of the runs before it. Pure functions."""

from coordinator.models import Grant

_TOLD = "It stands in ANSWER.md in this directory, and reads:"
_AGAIN = (
    "An earlier run of this task has ended in this directory. Look at what it left, also in git, and go on from there: "
    "do not begin anew what is done."
)


def prompt(grant: Grant, *, goes_on: bool, again: bool) -> str:
    """The task; after it the answer to an earlier run, alone where the agent's own session goes on.

    Whoever has completed or failed may be told more too, so no answer speaks of a question as if there had been one.

    `again` is for a program that is told in prose and starts anew in a directory where a run has worked: it reads that
    this is so. The reference runner says so to every drained task, and has it commit when it is done; here the task
    alone says when to commit, and a first run, or one on another host, finds nothing to go on from and is told nothing.
    """
    if grant.answer is not None:
        if goes_on:
            return f"You are told more: the answer, if you left a question in BLOCKED.md. {_TOLD}\n\n{grant.answer}"
        more = "You are told more: the answer, if it left a question."
        return _joined(
            grant.task, f"An earlier run of this task worked in this directory. {more} {_TOLD}\n\n{grant.answer}"
        )
    return _joined(grant.task, _AGAIN) if again else grant.task


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
