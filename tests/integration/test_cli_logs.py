"""logs: what an agent wrote, also while it grows and where a run begins anew."""

import json
from pathlib import Path

from tests.cli import BAD_INPUT, OK, REFUSED, Cli, run, started

TASK = "core/go-io/task-5"


def log_of(cli: Cli, name: str) -> Path:
    path = cli.root / name / ".meta" / "agent-codex.log"
    path.parent.mkdir(parents=True)
    return path


def test_logs_of_this_machine_are_printed_as_they_are(thawed: Cli) -> None:
    thawed.host()
    grant = run(thawed, "--agent", "codex:gpt-5.4")
    log_of(thawed, "a/running").write_bytes(b"colours \x1b[31mand \xff\n")
    assert thawed("logs", "a/running").stdout_bytes == b"colours \x1b[31mand \xff\n"
    assert thawed.json("logs", "a/running") == {"workspace": "a/running", "text": "colours \x1b[31mand \ufffd\n"}
    thawed.end(grant)
    assert "a/running completed" in thawed("logs", "a/running", "--follow").stderr


def test_a_letter_on_the_edge_of_a_block_is_whole_in_json(thawed: Cli) -> None:
    thawed.host()
    run(thawed, "--agent", "codex:gpt-5.4")
    log_of(thawed, "a/running").write_bytes(b"x" * 65535 + "é".encode() + b"\xc3")
    lines = [json.loads(line)["text"] for line in thawed("logs", "a/running", "--json").stdout.splitlines()]
    assert "".join(lines) == "x" * 65535 + "é\ufffd"


def test_logs_of_another_machine_say_where_they_are(thawed: Cli) -> None:
    assert "there is no workspace a/9" in thawed.wrong("logs", "a/9", code=BAD_INPUT)
    thawed("dispatch", "a/2", "--agent", "codex")
    assert "a/2 has not run yet" in thawed.wrong("logs", "a/2", code=REFUSED)
    thawed("cancel", "a/2")
    thawed.host("h7")
    thawed("dispatch", TASK, "--agent", "codex")
    thawed.end(thawed.claim("h7")[0])
    said = thawed.wrong("logs", TASK, code=REFUSED)
    assert f"{thawed.root}/{TASK}/.meta/agent-codex.log is not on this machine: look for it on host h7" in said


def test_logs_follow_until_the_run_has_ended(thawed: Cli) -> None:
    thawed.host()
    grant = run(thawed, "--agent", "codex")
    path = log_of(thawed, "a/running")
    path.write_text("one\n")
    with started("logs", "a/running", "--follow") as process:
        assert process.stdout
        assert process.stdout.readline() == "one\n"
        with path.open("a") as file:
            file.write("two\n")
        assert process.stdout.readline() == "two\n"
        thawed.end(grant)
        out, err = process.communicate(timeout=30)
        assert (out, process.returncode) == ("", OK)
        assert err.startswith("a/running completed after ")


def test_logs_follow_a_run_that_begins_anew(thawed: Cli) -> None:
    thawed.host()
    grant = run(thawed, "--agent", "codex")
    path = log_of(thawed, "a/running")
    path.write_text("one\n")
    with started("logs", "a/running", "--follow") as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "one\n"
        with path.open("a") as file:
            path.rename(path.with_suffix(".before-2.log"))  # as a worker does that starts it again
            file.write("last words\n")
        path.write_text("two\n")
        assert process.stdout.readline() + process.stdout.readline() == "last words\ntwo\n"
        assert "a new run has begun" in process.stderr.readline()
        path.unlink()
        path.symlink_to("/etc/hostname")
        assert process.wait(timeout=30) == REFUSED
        assert "leads out of the workspace root" in process.stderr.read()
    thawed.end(grant)


def test_logs_follow_a_log_that_was_shortened(thawed: Cli) -> None:
    thawed.host()
    grant = run(thawed, "--agent", "codex")
    path = log_of(thawed, "a/running")
    path.write_text("one\ntwo\n")
    with started("logs", "a/running", "--follow") as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() + process.stdout.readline() == "one\ntwo\n"
        path.write_text("one\n")
        assert "lost its middle" in process.stderr.readline()
        with path.open("a") as file:
            file.write("three\n")
        assert process.stdout.readline() == "three\n"
        thawed.end(grant)
        process.communicate(timeout=30)
