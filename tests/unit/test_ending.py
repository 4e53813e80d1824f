"""What the ending of a process means for its workspace."""

import signal

import pytest

from workers.ending import ending
from workers.run import Exit, Reason


def _exit(reason: Reason = "exited", code: int | None = None, number: int | None = None, error: str = "") -> Exit:
    return Exit(code, number, reason, started_at=1, ended_at=2, error=error)


@pytest.mark.reference("W27", "W28")
@pytest.mark.parametrize(
    ("how", "question", "status", "verdict", "said"),
    [
        (_exit(code=0), None, "completed", "succeeded", None),
        (_exit(code=0), "which port?", "blocked", "blocked", "which port?"),
        (_exit(code=2), "which port?", "blocked", "blocked", "which port?"),
        (_exit(code=2), None, "failed", "failed", "Agent exited with code 2"),
        (_exit(number=signal.SIGSEGV), None, "failed", "failed", "Agent was ended by SIGSEGV"),
        (_exit("timeout", number=9), None, "failed", "timed_out", "Agent timed out"),
        (_exit("killed", number=15), "which port?", "failed", "killed", "killed on request"),
        (_exit("stopped", number=15), None, "failed", "stopped", "the worker was stopped; retry queues it again"),
        (_exit("start_failed", error="no such program: x"), None, "failed", "start_failed", "no such program: x"),
        (_exit("guard_died", error="the guard was killed"), None, "failed", "guard_died", "the guard was killed"),
    ],
)
def test_what_an_ending_means(how: Exit, question: str | None, status: str, verdict: str, said: str | None) -> None:
    told = ending("a/b", 7, how, question)
    assert (told.workspace, told.token, told.status, told.verdict, told.question) == ("a/b", 7, status, verdict, said)
