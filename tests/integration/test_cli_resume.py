"""coordinator resume, and how what asks is shown."""

import subprocess
from pathlib import Path

import pytest

from coordinator.models import Grant
from coordinator.operations import Reap, Submit
from tests.cli import BAD_INPUT, COMMAND, OK, REFUSED, Cli
from tests.waiting import wait_until_sync


@pytest.fixture
def asking(thawed: Cli) -> Cli:
    """`a/1` ran on h1 and asks something; `a/2` waits behind it; h1 has room again."""
    thawed.host(slots=1)
    for name in ("a/1", "a/2"):
        thawed("dispatch", name, "--agent", "codex", "--task", "x")
    (grant,) = thawed.claim()
    thawed.end(grant, "blocked", question="which port?", session="s-1")
    return thawed


def taken(cli: Cli) -> Grant:
    (grant,) = cli.claim()
    return grant


@pytest.mark.reference("W24")
def test_what_waits_for_an_answer_is_told_from_what_is_broken(asking: Cli) -> None:
    shown = asking.out("status").splitlines()
    assert "1 failed (1 blocked)" in shown[0]
    assert shown[1:3] == ["a/1 asks: which port?", "answer with: coordinator resume a/1 --answer TEXT"]
    assert asking.json("status")["counts"]["blocked"] == 1
    assert "which port?" in asking.out("workspaces", "--status", "blocked")
    assert asking.out("workspaces", "--status", "failed") == "no workspace\n"


def test_why_shows_all_lines_of_a_question_and_how_to_answer_it(asking: Cli) -> None:
    (grant,) = asking.claim()
    asking.end(grant, "blocked", question="which?\n 1. \x1b[31mred\n\n 2. " + "blue" * 200)
    assert asking.out("why", "a/2").splitlines()[1:] == [
        "  which?", "   1. \\x1b[31mred", "  ", "   2. " + "blue" * 200,
        "answer with: coordinator resume a/2 --answer TEXT",
    ]  # fmt: skip
    waited = asking("wait", "a/2", code=REFUSED)
    assert waited.stdout.endswith("blu ...\n")
    assert len(waited.stdout) < 400
    assert waited.stderr == "answer with: coordinator resume a/2 --answer TEXT\n"
    assert max(map(len, asking.out("status").splitlines())) < 400
    assert len(asking.json("why", "a/2")["question"]) > 800


def test_who_has_no_proof_of_death_is_retried_and_not_answered(asking: Cli) -> None:
    asking("resume", "a/1", "--answer", "8080")
    asking.end(taken(asking))
    asking("cancel", "a/2")
    asking("dispatch", "a/3", "--agent", "claude", "--task", "x")
    asking("cancel", "a/3")
    asking.do(Submit(workspace="a/3", asker="svc", again=True, ttl=1))
    wait_until_sync(
        lambda: asking.do(Reap()).outcome == "reaped" and asking.json("status")["failed"] == 2, "it is lost"
    )
    assert "when its agent is certainly dead: coordinator retry a/3" in asking.out("status")
    assert "when its agent is certainly dead: coordinator retry a/3" in asking.out("why", "a/3")


def test_an_answered_one_is_queued_in_front_for_its_host(asking: Cli) -> None:
    assert asking.out("resume", "a/1", "--answer", "8080") == "a/1 queued again in front, for host h1\n"
    assert "asks" not in asking.out("status")
    grant = taken(asking)
    assert (grant.workspace, grant.answer, grant.session) == ("a/1", "8080", "s-1")


def test_it_says_why_an_answered_one_waits(asking: Cli) -> None:
    asking("stop")
    said = asking.out("resume", "a/1", "--answer", "8080")
    assert said.startswith("a/1 queued again in front, for host h1: queue is frozen")
    shown = asking.json("retry", "a/2", code=REFUSED)
    assert shown["count"] == 0
    asking("cancel", "a/2")
    told = asking.json("resume", "a/2", "--answer", "8080")
    assert (told["outcome"], told["workspace"], told["refusal"]["reason"]) == ("done", "a/2", "frozen")
    assert "host" not in told  # it never ran


def test_when_its_host_is_gone_it_says_the_way_out_and_that_is_one(asking: Cli) -> None:
    asking("host", "forget", "h1")
    result = asking("resume", "a/1", "--answer", "8080")
    assert result.stdout == "a/1 queued again in front, for host h1: host h1 is not there to serve 'codex'\n"
    assert "coordinator cancel a/1, then coordinator retry a/1" in result.stderr
    asking.host("h2")  # which serves its agent, and has not its disk
    why = asking.out("why", "a/1").splitlines()
    assert why[0].endswith(": host h1 is not there to serve 'codex'")
    assert why[-1] == result.stderr.strip()
    asking("cancel", "a/1")
    asking("retry", "a/1")
    asking.host("h2", slots=1)
    grants = asking.claim("h2")
    assert [(grant.workspace, grant.answer) for grant in grants] == [("a/1", "8080")]


def test_a_quiet_host_needs_no_runner(asking: Cli) -> None:
    asking("host", "quiet", "h1")
    result = asking("resume", "a/1", "--answer", "8080")
    assert result.stdout.endswith(": every host that serves codex@h1 is quiet or silent\n")
    assert result.stderr == ""


def test_a_host_that_is_there_and_has_no_such_agent_is_not_called_gone(asking: Cli) -> None:
    result = asking("resume", "a/1", "--answer", "8080", "--agent", "nosuch")
    assert result.stdout == "a/1 queued again in front, for host h1: host h1 does not serve 'nosuch'\n"
    assert result.stderr == (
        "give h1 a runner for it in its agents.yaml, or coordinator cancel a/1 and resume it with an agent h1 serves: "
        "claude, codex\n"
    )
    asking("cancel", "a/1")
    asking("resume", "a/1", "--answer", "8080", "--agent", "claude")
    assert taken(asking).agent == "claude"


def test_what_waits_or_runs_is_refused_and_nobody_is_bad_input(asking: Cli) -> None:
    waits = asking.wrong("resume", "a/2", "--answer", "x", code=REFUSED)
    assert waits.endswith("a/2 is queued: coordinator cancel a/2, then resume it, tells it something else")
    assert taken(asking).workspace == "a/2"
    assert "a/2 is running: coordinator kill ends it" in asking.wrong("resume", "a/2", "--answer", "x", code=REFUSED)
    assert "there is no workspace a/9" in asking.wrong("resume", "a/9", "--answer", "x", code=BAD_INPUT)
    assert asking.claim() == []


def test_a_wrong_answer_is_refused_by_its_field(asking: Cli, tmp_path: Path) -> None:
    assert "--answer: or --answer-file is needed" in asking.wrong("resume", "a/1", code=BAD_INPUT)
    both = ("--answer", "x", "--answer-file", str(tmp_path))
    assert "--answer-file: can not be given with --answer" in asking.wrong("resume", "a/1", *both, code=BAD_INPUT)
    assert "answer: must not be empty" in asking.wrong("resume", "a/1", "--answer", " \n", code=BAD_INPUT)
    assert "answer: must be at most 64 KiB" in asking.wrong("resume", "a/1", "--answer", "x" * 65_537, code=BAD_INPUT)
    assert "agent: must be" in asking.wrong("resume", "a/1", "--answer", "x", "--agent", "a b", code=BAD_INPUT)
    missing = ("--answer-file", str(tmp_path / "none"))
    assert "can not be read: No such file" in asking.wrong("resume", "a/1", *missing, code=BAD_INPUT)


def test_an_answer_comes_from_a_file_or_stdin_as_it_is(asking: Cli, tmp_path: Path) -> None:
    (tmp_path / "answer.md").write_text("port 8080\n\nand 9090\n")
    asking("resume", "a/1", "--answer-file", str(tmp_path / "answer.md"))
    grant = taken(asking)
    assert grant.answer == "port 8080\n\nand 9090\n"
    asking.end(grant, "failed")
    asking("resume", "a/1", "--answer", "-", typed="é\n".encode())
    grant = taken(asking)
    assert grant.answer == "é\n"
    asking.end(grant)
    asking("resume", "a/1", "--answer-file", "-", typed="also the docs")
    assert taken(asking).answer == "also the docs"


def test_another_agent_goes_on_with_it(asking: Cli) -> None:
    asking("resume", "a/1", "--answer", "8080", "--agent", "claude:opus")
    grant = taken(asking)
    assert (grant.agent, grant.session, grant.answer) == ("claude:opus", None, "8080")


def test_it_waits_when_asked_to(asking: Cli) -> None:
    command = [*COMMAND, "resume", "a/1", "--answer", "8080", "--wait"]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until_sync(lambda: asking.json("status")["queued"] == 2, "it is answered")
        asking.end(taken(asking), pr_url="https://host/pull/7")
        out, err = process.communicate(timeout=30)
    assert out.splitlines()[1].startswith("a/1 completed")
    assert (err, process.returncode) == ("", OK)
