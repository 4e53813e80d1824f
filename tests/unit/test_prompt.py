"""What an agent is told."""

import pytest

from coordinator.models import Grant
from workers.prompt import prompt


def grant(**fields: object) -> Grant:
    return Grant.model_validate({"workspace": "a", "token": 9, "ttl": 1, "agent": "codex", "task": "Fix it."} | fields)


def test_a_first_run_is_told_its_task_and_nothing_else() -> None:
    assert prompt(grant(), goes_on=False, again=False) == "Fix it."


@pytest.mark.reference(81)
def test_a_run_after_another_is_told_to_go_on_from_what_that_left() -> None:
    told = prompt(grant(attempt=2), goes_on=False, again=True)
    assert told.startswith("Fix it.\n\nAn earlier run of this task has ended in this directory.")
    assert prompt(grant(task=""), goes_on=False, again=True).startswith("An earlier run")


@pytest.mark.parametrize("again", [True, False])
def test_an_answer_follows_the_task_and_is_all_that_a_session_that_goes_on_needs(again: bool) -> None:
    asked = grant(answer="port {repo} 8080\n")
    fresh, goes_on = (prompt(asked, goes_on=goes_on, again=again) for goes_on in (False, True))
    assert fresh.startswith("Fix it.\n\nAn earlier run of this task worked in this directory. You are told more: ")
    assert goes_on.startswith(
        "You are told more: the answer, if you left a question in BLOCKED.md. It stands in ANSWER.md"
    )
    assert fresh.endswith("It stands in ANSWER.md in this directory, and reads:\n\nport {repo} 8080\n")
    assert goes_on.endswith("port {repo} 8080\n")
    assert "Fix it." not in goes_on
