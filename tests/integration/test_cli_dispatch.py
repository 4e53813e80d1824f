"""dispatch: one workspace, or a file of them."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from coordinator.operations import Apply, Query
from tests.cli import BAD_INPUT, COMMAND, OK, REFUSED, Cli

TASK = "core/go-io/task-5"


@pytest.mark.reference(9, 10, "W8")
def test_what_waits_says_why_and_what_to_type(cli: Cli) -> None:
    result = cli("dispatch", TASK, "--agent", "codex", "--task", "Fix it")
    assert result.stdout == f"{TASK} queued, place 1: queue is frozen\n"
    assert "thaw the queue with: coordinator start\n" in result.stderr


def test_everything_said_is_in_the_record(thawed: Cli) -> None:
    words = ["--agent", "codex:gpt-5.4", "--repo", "core/go-io", "--branch", "fix/io", "--task", "Fix it"]
    thawed("dispatch", TASK, *words, "--priority", "9", "--host", "h1", "--label", "gpu", "--key", "team:a")
    (record,) = thawed.do(Query(workspace=TASK)).workspaces
    assert (record.agent, record.org, record.repo, record.branch) == ("codex:gpt-5.4", "core", "go-io", "fix/io")
    assert (record.task, record.priority, record.requires, record.labels) == ("Fix it", 9, "h1", ("gpu",))
    keys = [view["key"] for view in thawed.json("why", TASK)["keys"]]
    assert keys == ["*", "codex", "codex:gpt-5.4", "repo:core/go-io", "org:core", "label:gpu", "team:a"]


@pytest.mark.reference("W8")
def test_asking_twice_is_asking_once(thawed: Cli) -> None:
    thawed("dispatch", TASK, "--agent", "codex")
    assert thawed.json("dispatch", TASK, "--agent", "codex") == {
        "workspace": TASK,
        "outcome": "already",
        "status": "queued",
    }


def test_what_ended_runs_again_only_when_that_is_said(thawed: Cli) -> None:
    thawed.host()
    thawed("dispatch", TASK, "--agent", "codex")
    (grant,) = thawed.claim()
    assert thawed.out("dispatch", TASK) == f"{TASK} is running already on h1\n"
    thawed.end(grant, "failed")
    assert "--again runs it once more" in thawed("dispatch", TASK, code=REFUSED).stderr
    assert thawed.json("dispatch", TASK, "--agent", "codex", "--again")["outcome"] == "queued"


def test_a_name_is_made_where_none_is_given(thawed: Cli) -> None:
    made = [thawed.json("dispatch", "--agent", "codex", "--repo", "core/go-io")["workspace"] for _ in range(2)]
    assert all(name.startswith("core/go-io/task-") for name in made)
    assert made[0] != made[1]
    assert thawed.json("dispatch", "--agent", "codex:gpt-5.4")["workspace"].startswith("codex/task-")


def test_an_agent_that_nobody_serves_is_named_with_a_guess(thawed: Cli) -> None:
    thawed.host()
    assert "no host serves 'codx' (did you mean codex?)\n" in thawed("dispatch", TASK, "--agent", "codx").stderr
    assert thawed("dispatch", "a/1", "--agent", "codex").stderr == ""


def test_the_guess_knows_the_pools_of_agents_yaml(thawed: Cli) -> None:
    thawed.config.write_text("runners: {reviewer: {command: [review]}}\n")
    assert "did you mean reviewer?" in thawed("dispatch", TASK, "--agent", "reviewr").stderr


@pytest.mark.parametrize("way", ["--task", "--task-file"])
def test_a_task_comes_from_stdin(thawed: Cli, way: str) -> None:
    thawed("dispatch", TASK, way, "-", typed="two\nlines é\n")
    assert thawed.do(Query(workspace=TASK)).workspaces[0].task == "two\nlines é\n"


def test_a_task_comes_from_a_file(thawed: Cli, tmp_path: Path) -> None:
    (tmp_path / "task.md").write_text("x" * 1024 * 1024)
    thawed("dispatch", TASK, "--task-file", str(tmp_path / "task.md"))
    assert len(thawed.do(Query(workspace=TASK)).workspaces[0].task) == 1024 * 1024


def test_a_task_that_can_not_be_read_is_refused(thawed: Cli, tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"a\xff")
    assert "byte 2 is not UTF-8" in thawed.wrong(
        "dispatch", TASK, "--task-file", str(tmp_path / "bytes"), code=BAD_INPUT
    )
    assert "No such file" in thawed.wrong("dispatch", TASK, "--task-file", "/nowhere", code=BAD_INPUT)
    assert "1048576" in thawed.wrong("dispatch", TASK, "--task-file", "/dev/zero", code=BAD_INPUT)
    for long in ("é".encode() * 600_000, b"x" + "é".encode() * 600_000, b"\xff" * 2_000_000):
        (tmp_path / "long").write_bytes(long)  # a letter lies on the edge, or none is one
        assert "1048576" in thawed.wrong("dispatch", TASK, "--task-file", str(tmp_path / "long"), code=BAD_INPUT)
    assert "--task" in thawed.wrong("dispatch", TASK, "--task", "a", "--task-file", "b", code=BAD_INPUT)
    assert thawed.json("workspaces")["workspaces"] == []


@pytest.mark.parametrize("name", ["", "..", "../x", "/absolute", "a/../b", "a\nb", "a b", "x" * 201, "é", "a\udcff"])
def test_a_hostile_name_is_refused_by_its_field(thawed: Cli, name: str) -> None:
    assert thawed.wrong("dispatch", name, code=BAD_INPUT).startswith("coordinator: workspace: must be 1 to 200")


@pytest.mark.parametrize(
    ("option", "value"),
    [("--agent", ""), ("--repo", ""), ("--repo", "/x"), ("--repo", "a/b/c"), ("--host", "a b"), ("--priority", "10")],
)
def test_a_wrong_option_is_refused_and_nothing_is_queued(thawed: Cli, option: str, value: str) -> None:
    thawed.wrong("dispatch", TASK, option, value, code=BAD_INPUT)
    assert thawed.json("workspaces")["workspaces"] == []


def test_a_local_source_becomes_an_absolute_path(thawed: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    thawed("dispatch", "a/1", "--source", ".")
    thawed("dispatch", "a/2", "--source", "https://host/x.git")
    sources = [thawed.do(Query(workspace=name)).workspaces[0].source for name in ("a/1", "a/2")]
    assert sources == [str(tmp_path.resolve()), "https://host/x.git"]


def test_bad_lines_are_numbered_and_good_ones_dispatched(thawed: Cli, tmp_path: Path) -> None:
    lines = [
        b'{"workspace": "f/1", "agent": "codex", "task": "\xc3\xa9"}',
        b'{"workspace": "../f"}',
        b"not json",
        b"",
        b'{"workspace": "f/2", "colour": 1}',
        b'{"workspace": "f/3", "task": "\xff"}',
        b'{"workspace": "f/4", "task": "\\ud800"}',
        b"[1]",
        b'{"agent": "codex", "repo": "core/x"}',
        b'{"workspace": "f/5", "agent": 5}',
        b'{"agent": ["codex"]}',
    ]
    (tmp_path / "tasks").write_bytes(b"\n".join(lines))
    result = thawed("dispatch", "--file", str(tmp_path / "tasks"), "--json", code=BAD_INPUT)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer["outcome"] for answer in answers] == ["queued", "queued"]
    assert answers[0]["workspace"] == "f/1"
    assert answers[1]["workspace"].startswith("core/x/task-")
    wrong = [line for line in result.stderr.splitlines() if line.startswith("coordinator: line")]
    assert [line.split(":")[1] for line in wrong] == [f" line {number}" for number in (2, 3, 5, 6, 7, 8, 10, 11)]


def test_a_long_file_is_summed_up_by_reason(thawed: Cli) -> None:
    thawed("limits", "claude", "0")
    lines = "".join(f'{{"workspace": "f/{number}"}}\n' for number in range(450))
    thawed.host()
    result = thawed("dispatch", "--file", "-", "--agent", "claude", typed=lines)
    assert result.stdout.splitlines()[0] == "450 queued"
    assert "450 queue at capacity: total 0/0 (claude)" in result.stdout
    assert thawed.json("status")["queued"] == 450


def test_a_line_that_is_refused_is_counted_and_told_by_the_exit_code(cli: Cli) -> None:
    lines = '{"workspace": "a/1", "agent": "codex", "asker": "svc", "else": "refuse"}\n{"workspace": "a/2"}\n'
    result = cli("dispatch", "--file", "-", typed=lines, code=REFUSED)
    assert result.stdout.splitlines() == ["1 queued, 1 refused", "  2 queue is frozen"]


def test_the_same_file_again_changes_nothing(thawed: Cli) -> None:
    line = '{"workspace": "f/1"}\n'
    thawed("dispatch", "--file", "-", typed=line)
    assert "1 known already" in thawed("dispatch", "--file", "-", typed=line).stdout
    assert "name it in the file" in thawed.wrong("dispatch", "x", "--file", "-", code=BAD_INPUT)
    assert "No such file" in thawed.wrong("dispatch", "--file", "/nowhere", code=BAD_INPUT)


def test_a_name_that_is_no_text_comes_as_bytes_on_a_real_command_line(cli: Cli) -> None:
    asked = subprocess.run(
        [*COMMAND, "dispatch", b"a\xff"], capture_output=True, check=False, env=os.environ, timeout=30
    )
    assert asked.returncode == BAD_INPUT
    assert b"coordinator: workspace: must be" in asked.stderr
    assert asked.stderr.count(b"\n") == 1
    assert asked.stdout == b""
    asked = subprocess.run([*COMMAND, "dispatch", "a/1"], capture_output=True, check=False, timeout=30)
    assert asked.returncode == OK


@pytest.mark.reference(9, "W23")
def test_a_dispatch_without_an_agent_is_the_fleets_default_on_every_path(thawed: Cli) -> None:
    thawed.do(Apply(default_agent="gemini:pro"))
    asked = thawed("dispatch", "a/1", "--task", "x")
    assert "no host serves 'gemini'" in asked.stderr
    thawed("dispatch", "--file", "-", typed='{"workspace":"a/2"}\n')
    agents = [row["agent"] for row in thawed.json("workspaces")["workspaces"]]
    assert agents == ["gemini:pro", "gemini:pro"]


def test_work_for_later_says_when_and_a_deadline_ends_it(thawed: Cli, tmp_path: Path) -> None:
    thawed.host()
    now = thawed.json("status")["now"]
    queued = thawed.json("dispatch", TASK, "--agent", "codex", "--not-before", "+2h", "--deadline", "3h")
    assert (queued["place"], queued["refusal"]["reason"]) == (0, "not_before")
    assert 0 <= queued["refusal"]["until"] - now - 7_200_000 < 60_000
    said = thawed.out("dispatch", "a/1", "--agent", "codex", "--not-before", "2100-01-01T00:00:00Z")
    assert said.startswith("a/1 queued: not before 2100-01-01T00:00:00Z, in ")
    why = thawed.out("why", TASK)
    assert f"{TASK} is queued: not before " in why
    assert "not started by then it has failed" in why
    assert "not before " in thawed.out("workspaces")
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"workspace": "b/1", "not_before": "+90m"}\n{"workspace": "b/2", "not_before": 5}\n')
    thawed("dispatch", "--file", str(file), "--agent", "codex", "--deadline", "+1d")
    (held,), (free,) = (thawed.do(Query(workspace=name)).workspaces for name in ("b/1", "b/2"))
    assert 0 <= (held.not_before or 0) - now - 5_400_000 < 60_000
    assert 0 <= (free.deadline or 0) - now - 86_400_000 < 60_000
    assert [grant.workspace for grant in thawed.claim()] == ["b/2"]


def test_times_that_can_not_be_read_or_kept_are_named(thawed: Cli, tmp_path: Path) -> None:
    for text in ("soon", "25:00", "18:60", "-5m", "", "2026-13-01", "é"):
        error = thawed.wrong("dispatch", TASK, "--not-before", text, code=BAD_INPUT)
        assert "not_before: must be a moment such as +2h, 18:30 or 2026-11-24T18:30:00Z" in error
    assert "deadline: must be after not_before" in thawed.wrong(
        "dispatch", TASK, "--not-before", "+2h", "--deadline", "+1h", code=BAD_INPUT
    )
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"workspace": "b/1", "deadline": "whenever"}\n{"workspace": "b/2", "deadline": 1}\n')
    errors = thawed("dispatch", "--file", str(file), code=BAD_INPUT).stderr
    assert "line 1: deadline: must be a moment" in errors
    assert "line 2: deadline: must be in the future" in errors


def test_a_retry_is_told_other_times(thawed: Cli) -> None:
    thawed("dispatch", TASK, "--agent", "codex", "--not-before", "+2h", "--deadline", "+3h")
    thawed("cancel", TASK)
    assert thawed.out("retry", TASK, "--not-before", "now", "--deadline", "none") == "1 queued again\n"
    (record,) = thawed.do(Query(workspace=TASK)).workspaces
    assert (record.not_before, record.deadline) == (None, None)
    error = thawed.wrong("retry", "--status", "failed", "--deadline", "+1h", code=BAD_INPUT)
    assert "deadline: is for workspaces that are named" in error
