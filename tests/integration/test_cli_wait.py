"""wait and dispatch --wait: until workspaces have ended."""

import json
import os
import signal
import subprocess

import pytest

from coordinator.doors import endings
from tests.cli import BAD_INPUT, COMMAND, OK, REFUSED, Cli, started
from tests.waiting import wait_until_sync

#: A command line that looks at the keys whenever it has waited for facts, and not every 15 s.
ALWAYS_LOOKING = [
    COMMAND[0],
    "-c",
    "from coordinator.doors import endings; endings.LOOK_EVERY = 0.0\nfrom coordinator.doors.cli import main; main()",
]


@pytest.fixture
def running(thawed: Cli) -> Cli:
    """One host, two runs: a/1 and a/2."""
    thawed.host()
    for name in ("a/1", "a/2"):
        thawed("dispatch", name, "--agent", "codex", "--task", "x")
    return thawed


def is_reading(cli: Cli) -> bool:
    """A client of the server blocks until the next fact."""
    return "cmd=xread" in subprocess.check_output(["redis-cli", "-s", cli.url[7:], "CLIENT", "LIST"], text=True)


def test_what_has_ended_is_told_at_once(running: Cli) -> None:
    first, second = running.claim()
    running.end(first, pr_url="https://host/pull/7")
    running.end(second)
    lines = running.out("wait", "a/1", "a/2").splitlines()
    assert lines[0].startswith("a/1 completed after ")
    assert lines[0].endswith(" on h1: https://host/pull/7")
    assert [json.loads(line)["status"] for line in running.out("wait", "a/1", "a/2", "--json").splitlines()] == [
        "completed",
        "completed",
    ]


def test_a_failure_is_exit_code_1_with_its_reason(running: Cli) -> None:
    first, second = running.claim()
    running.end(first, "failed", question="Agent exited with code 3")
    running.end(second, "merged")
    assert "a/1 failed" in running.out("wait", "a/1", "a/2", code=REFUSED)
    assert "Agent exited with code 3" in running.out("wait", "a/1", code=REFUSED)
    running("wait", "a/2")


def test_an_unknown_workspace_is_bad_input(running: Cli) -> None:
    assert "there is no workspace a/9" in running.wrong("wait", "a/9", code=BAD_INPUT)
    assert "workspace: must be" in running.wrong("wait", "../a", code=BAD_INPUT)


def test_when_the_time_is_over_it_says_what_each_waits_for(running: Cli) -> None:
    running.claim(count=1)
    running("stop")
    result = running("wait", "a/1", "a/2", "--timeout", "1s", code=REFUSED)
    assert "the time is over, and a/1 is running on h1" in result.stderr
    assert "and a/2 is queued: queue is frozen" in result.stderr
    assert "must be a duration" in running.wrong("wait", "a/1", "--timeout", "soon", code=BAD_INPUT)


def test_an_ending_wakes_the_waiting(running: Cli) -> None:
    with started("wait", "a/1") as process:
        (grant, _) = running.claim()
        wait_until_sync(lambda: is_reading(running), "the command waits for facts")
        running.end(grant)
        out, err = process.communicate(timeout=endings.LOOK_EVERY / 2)  # only the fact can have woken it so early
        assert out.startswith("a/1 completed")
        assert (err, process.returncode) == ("", OK)


def test_dispatch_waits_when_asked_to(running: Cli) -> None:
    with started("dispatch", "a/3", "--agent", "codex", "--wait", "--json") as process:
        wait_until_sync(lambda: is_reading(running), "the command waits for facts")
        grants = {grant.workspace: grant for grant in running.claim()}
        running.end(grants["a/3"], "failed")
        out, _ = process.communicate(timeout=30)
        queued, ended = map(json.loads, out.splitlines())
        assert (queued["outcome"], ended["status"], process.returncode) == ("queued", "failed", REFUSED)


@pytest.mark.reference("W25")
def test_facts_that_were_trimmed_do_not_leave_it_waiting(running: Cli) -> None:
    running.claim()
    with started("wait", "a/1", command=ALWAYS_LOOKING) as process:
        wait_until_sync(lambda: is_reading(running), "the command waits for facts")
        subprocess.check_call(
            ["redis-cli", "-s", running.url[7:], "HSET", "{dispatch}:workspace:a/1", "status", "completed"],
            stdout=subprocess.DEVNULL,
        )  # a change without a fact, as after a trimmed stream
        out, _ = process.communicate(timeout=30)
        assert out.startswith("a/1 completed")


def calls(cli: Cli) -> int:
    """How many questions that only read were asked so far."""
    told = subprocess.check_output(["redis-cli", "-s", cli.url[7:], "INFO", "commandstats"], text=True)
    return sum(int(line.split("calls=")[1].split(",")[0]) for line in told.splitlines() if "fcall_ro:" in line)


def test_what_a_server_forgot_is_waited_for_until_somebody_says_that_it_is_gone(running: Cli) -> None:
    running.claim()
    with started("wait", "a/1", command=ALWAYS_LOOKING) as process:
        wait_until_sync(lambda: is_reading(running), "the command waits for facts")
        subprocess.check_call(["redis-cli", "-s", running.url[7:], "FLUSHALL"], stdout=subprocess.DEVNULL)
        before = calls(running)
        wait_until_sync(lambda: calls(running) > before + 3, "it has looked at the keys again, and again")
        assert process.poll() is None
        running("start")  # no host has told of it
        assert process.stderr
        assert "there is no workspace a/1" in process.stderr.read()
    assert process.returncode == BAD_INPUT


def test_a_bad_line_is_told_by_the_exit_code_also_where_what_was_waited_for_failed(running: Cli) -> None:
    lines = '{"workspace": "a/1", "agent": ["codex"]}\n{"workspace": "a/1"}\nno\n'
    running.end(running.claim()[0], "failed")
    result = running("dispatch", "--file", "-", "--wait", typed=lines, code=BAD_INPUT)
    assert "line 1: agent: must be" in result.stderr
    assert "line 3: it: is not JSON" in result.stderr
    assert "a/1 failed" in result.stdout


def test_ctrl_c_is_quiet(running: Cli) -> None:
    with started("wait", "a/1") as process:
        wait_until_sync(lambda: is_reading(running), "the command waits for facts")
        os.kill(process.pid, signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 130
