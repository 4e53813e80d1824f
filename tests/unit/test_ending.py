"""What the ending of a process means for its workspace."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.ending import ending
from workers.run import Ended, Exit, Reason, Run


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
        (_exit(number=signal.SIGKILL), "which port?", "blocked", "blocked", "which port?"),
        (_exit("timeout", number=9), None, "failed", "timed_out", "Agent timed out"),
        (_exit("timeout", code=0), None, "failed", "timed_out", "Agent timed out"),
        (_exit("timeout", number=9, error="Agent timed out after 60m"), None, "failed", "timed_out",
         "Agent timed out after 60m"),
        (_exit("timeout", number=9), "which port?", "blocked", "blocked", "which port?"),
        (_exit("memory", number=9, error="too much"), None, "failed", "out_of_memory", "too much"),
        (_exit("output", number=9, error="too long"), None, "failed", "too_much_output", "too long"),
        (_exit("stalled", number=2, error="did nothing"), None, "failed", "stalled", "did nothing"),
        (_exit("stalled", number=2, error="did nothing"), "which port?", "blocked", "blocked", "which port?"),
        (_exit("guard_died"), "which port?", "blocked", "blocked", "which port?"),
        (_exit("killed", number=15), "which port?", "failed", "killed", "killed on request"),
        (_exit("lost", number=9), "which port?", "failed", "lost", "the lease was lost"),
        (_exit("stopped", number=15), "which port?", "failed", "stopped",
         "the worker was stopped; retry queues it again"),
        (_exit("start_failed", error="no such program: x"), None, "failed", "start_failed", "no such program: x"),
        (_exit("guard_died", error="the guard was killed"), None, "failed", "guard_died", "the guard was killed"),
    ],
)  # fmt: skip
@pytest.mark.reference("W27")
def test_what_an_ending_means(how: Exit, question: str | None, status: str, verdict: str, said: str | None) -> None:
    told = ending("a/b", 7, how, question)
    assert (told.workspace, told.token, told.status, told.verdict, told.question) == ("a/b", 7, status, verdict, said)


@pytest.mark.parametrize(
    ("how", "question", "also"),
    [
        (_exit(code=0), None, ""),
        (_exit(code=2), None, "\nAgent exited with code 2"),
        (_exit("killed", number=9), None, "\nkilled on request"),
        (_exit(code=0), "which port?", "\nwhich port?"),
    ],
)
def test_what_can_not_be_proved_dead_holds_its_workspace_back(how: Exit, question: str | None, also: str) -> None:
    receipt = (Ended(70, "sh", "KILL"), Ended(71, "sudo", "left"))
    told = ending("a/b", 7, replace(how, receipt=receipt), question)
    assert (told.status, told.verdict, told.exit_code) == ("blocked", "lost", how.code)
    assert told.question == "no proof of death: these could not be ended: 71 sudo" + also
    assert ending("a/b", 7, replace(how, receipt=receipt[:1]), None).status != "blocked"


@pytest.mark.reference("W27", "W28")
@given(
    st.one_of(
        st.builds(_exit, st.just("exited"), st.integers(1, 255)),
        st.builds(_exit, st.just("exited"), st.none(), st.integers(1, 64)),
        st.builds(_exit, st.sampled_from(["timeout", "lost", "killed", "stopped", "start_failed", "guard_died"])),
    ),
    st.none() | st.text(min_size=1),
)
def test_only_an_exit_with_0_completes(how: Exit, question: str | None) -> None:
    assert ending("a/b", 7, how, question).status in ("failed", "blocked")


@pytest.mark.parametrize(
    ("timeout_ms", "said"),
    [(3_600_000, "60m"), (90_000, "90s"), (60_000, "1m"), (300, "0.3s"), (7_200_000, "120m"), (61_000, "61s")],
)
def test_a_timeout_is_told_in_minutes_where_they_are_whole(timeout_ms: int, said: str) -> None:
    run = Run(7, "a/b", ("x",), {}, Path(), Path("log"), 0, timeout_ms=timeout_ms)
    assert run.overtime() == f"Agent timed out after {said}"
