"""Sessions: when one begins under an id of ours, when one goes on, and how its id is known at the end."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.config.runners import Runner
from coordinator.models import Grant
from workers.agents import claude, codex, gemini
from workers.agents.sessions import UUID, Session
from workers.finish import told
from workers.run import Exit
from workers.sessions import note, session_for, session_of
from workers.workspace import Workspace

ID = "0190e7a1-52c3-7b7a-9f04-6e1d2a33c1b5"
OTHER = "7c1e7f5e-3c7d-4a9e-9b41-0a8f3c0b6c11"
STARTED = json.dumps({"type": "thread.started", "thread_id": ID}) + "\n"


def grant(token: int = 9, agent: str = "claude", **fields: object) -> Grant:
    return Grant.model_validate({"workspace": "a/b", "token": token, "ttl": 1, "agent": agent} | fields)


def runner(adapter: str | None = "claude", *args: str) -> Runner:
    return Runner.model_validate({"adapter": adapter, "args": args} if adapter else {"command": ["agent"]})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path, "a/b")
    made.meta.mkdir(parents=True)
    return made


def begun(workspace: Workspace, asked: Grant, how: Runner, host: str = "h1") -> Session | None:
    """A run that starts in the session that it is given."""
    session = session_for(asked, workspace, how, host)
    note(asked, workspace, how, host, session)
    return session


# claude 2.1.197, codex 0.169.0, gemini 0.61.0


def test_claude_begins_under_our_id_and_goes_on_with_it() -> None:
    begins = claude.command("opus", ("--max-turns", "9"), Session(ID))
    assert begins[-6:] == ("--model", "opus", "--session-id", ID, "--max-turns", "9")
    goes_on = claude.command("", (), Session(ID, goes_on=True))
    assert goes_on[-2:] == ("--resume", ID)
    assert "--session-id" not in goes_on


def test_gemini_begins_under_our_id_and_goes_on_with_it() -> None:
    assert gemini.command("", (), Session(ID))[-2:] == ("--session-id", ID)
    assert gemini.command("", (), Session(ID, goes_on=True))[-2:] == ("--resume", ID)


def test_codex_goes_on_with_every_option_repeated_before_the_word_that_knows_fewer() -> None:
    goes_on = codex.command("gpt-5.4", ("-c", "a=b"), Session(ID, goes_on=True))
    expected = (
        "codex",
        "exec",
        "--json",
        "--skip-git-repo-check",
        "-s",
        "workspace-write",
        "-m",
        "gpt-5.4",
        "-c",
        "a=b",
    )
    assert goes_on == (*expected, "resume", ID, "-")
    assert codex.command("gpt-5.4", ("-c", "a=b"), None) == (*expected, "-")


@pytest.mark.parametrize("before", ["", "warning: not json\n", '{"type":"other"}\n[1]\n', "\udcff\n"])
def test_codex_names_its_session_in_its_first_event(before: str) -> None:
    assert codex.thread(before + STARTED + STARTED.replace(ID, OTHER)) == ID


@pytest.mark.parametrize("thread", [5, None, "--last", ID + " ", "my session", [ID]])
def test_what_codex_can_not_have_named_is_no_session(thread: object) -> None:
    assert codex.thread(json.dumps({"type": "thread.started", "thread_id": thread})) is None


@given(st.text() | st.recursive(st.text(), st.lists).map(json.dumps))
def test_anything_may_be_printed(said: str) -> None:
    assert codex.thread(said) is None


@pytest.mark.parametrize("adapter", ["claude", "gemini"])
def test_a_new_run_has_a_new_id_that_is_the_same_when_it_is_prepared_again(workspace: Workspace, adapter: str) -> None:
    asked = grant(agent=adapter)
    first = begun(workspace, asked, runner(adapter))
    assert first
    assert UUID.fullmatch(first.id)
    assert begun(workspace, asked, runner(adapter)) == first
    assert begun(workspace, grant(10, agent=adapter), runner(adapter)) != first
    assert session_of(workspace, 10, failed=False) != first.id
    assert session_of(workspace, 9, failed=False) is None


def test_an_answered_session_goes_on_where_it_was(workspace: Workspace) -> None:
    first = begun(workspace, grant(), runner())
    assert first
    asked = grant(10, session=first.id, answer="8080")
    assert begun(workspace, asked, runner()) == Session(first.id, goes_on=True)
    assert session_of(workspace, 10, failed=False) == first.id
    assert begun(workspace, grant(11, session=first.id, answer="9090"), runner()) == Session(first.id, goes_on=True)
    at_work = begun(workspace, grant(12, account="work"), runner())
    assert at_work
    asked = grant(13, session=at_work.id, answer="8080", account="work")
    assert begun(workspace, asked, runner()) == Session(at_work.id, goes_on=True)


def test_without_an_answer_elsewhere_or_with_another_program_a_new_one_begins(workspace: Workspace) -> None:
    first = begun(workspace, grant(), runner())
    assert first
    named = {"session": first.id, "answer": "8080"}
    fresh = [
        session_for(grant(10, session=first.id), workspace, runner(), "h1"),
        session_for(grant(10, **named), workspace, runner(), "h2"),
        session_for(grant(10, agent="gemini", **named), workspace, runner("gemini"), "h1"),
        session_for(grant(10, answer="8080", session=OTHER), workspace, runner(), "h1"),
        session_for(grant(10, answer="8080"), workspace, runner(), "h1"),
        session_for(grant(10, account="work", **named), workspace, runner(), "h1"),
    ]
    assert [session and session.goes_on for session in fresh] == [False] * 6
    assert session_for(grant(10, **named), workspace, runner(), "h1") == Session(first.id, goes_on=True)


@pytest.mark.parametrize("text", ["--dangerously-skip-permissions", "latest", "5", ID + "\n"])
def test_no_word_from_redis_becomes_an_option(workspace: Workspace, text: str) -> None:
    workspace.keep_session({"host": "h1", "pool": "claude", "session": text})
    asked = grant().model_copy(update={"session": text, "answer": "8080"})
    session = session_for(asked, workspace, runner(), "h1")
    assert session
    assert UUID.fullmatch(session.id)
    assert not session.goes_on


@pytest.mark.parametrize(
    ("adapter", "args"),
    [
        ("claude", ["--no-session-persistence"]),
        ("claude", ["--resume=x"]),
        ("codex", ["--ephemeral"]),
        ("gemini", ["-r", "5"]),
        (None, []),
    ],
)
def test_a_session_that_an_operator_chose_is_his(workspace: Workspace, adapter: str | None, args: list[str]) -> None:
    asked = grant(agent=adapter or "claude")
    assert begun(workspace, asked, runner(adapter, *args)) is None


def test_codex_is_asked_at_the_end_and_goes_on_with_what_it_said(workspace: Workspace) -> None:
    asked = grant(agent="codex:gpt-5.4")
    assert begun(workspace, asked, runner("codex")) is None
    workspace.log(asked.agent).write_text(STARTED)
    assert session_of(workspace, 9, failed=False) == ID
    again = grant(10, agent="codex", session=ID, answer="8080")
    assert begun(workspace, again, runner("codex")) == Session(ID, goes_on=True)
    workspace.log(asked.agent).write_text(STARTED.replace(ID, OTHER))  # a new thread all the same
    assert session_of(workspace, 10, failed=False) == OTHER
    assert session_for(grant(11, agent="codex", session=ID, answer="x"), workspace, runner("codex"), "h1") is None


def test_a_run_has_ended_as_it_did_also_where_its_session_can_not_be_written_down(workspace: Workspace) -> None:
    begun(workspace, grant(agent="codex"), runner("codex"))
    workspace.log("codex").write_text(STARTED)
    (workspace.meta / f".session.json.{os.getpid()}").mkdir()  # in the way of what is written
    exit_ = Exit(0, None, "exited", 0, 0)
    assert told(workspace, 9, exit_).model_dump()["session"] == ID


def test_only_the_beginning_of_a_log_is_read(workspace: Workspace) -> None:
    asked = grant(agent="codex")
    begun(workspace, asked, runner("codex"))
    workspace.log(asked.agent).write_text("x" * 65_536 + "\n" + STARTED)
    assert session_of(workspace, 9, failed=False) is None


def test_a_session_that_could_not_go_on_is_not_tried_again(workspace: Workspace) -> None:
    first = begun(workspace, grant(), runner())
    assert first
    asked = grant(10, session=first.id, answer="8080")
    begun(workspace, asked, runner())
    assert session_of(workspace, 10, failed=True) == first.id
    fresh = session_for(grant(11, session=first.id, answer="8080"), workspace, runner(), "h1")
    assert fresh
    assert not fresh.goes_on


def test_a_first_run_that_failed_may_be_gone_on_with(workspace: Workspace) -> None:
    first = begun(workspace, grant(), runner())
    assert first
    assert session_of(workspace, 9, failed=True) == first.id
    asked = grant(10, session=first.id, answer="the network is back")
    assert session_for(asked, workspace, runner(), "h1") == Session(first.id, goes_on=True)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"token": 9, "session": 5}', '{"token": 9, "adapter": []}'])
def test_a_note_that_was_edited_is_no_session(workspace: Workspace, text: str) -> None:
    (workspace.meta / "session.json").write_text(text)
    assert session_of(workspace, 9, failed=False) is None
