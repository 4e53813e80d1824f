"""What goes wrong around a command: one line that says what to do, an exit code, and never a traceback."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

import pytest
import typer
from redis.asyncio.connection import AbstractConnection
from typer.testing import CliRunner

from coordinator import embedded
from coordinator.doors.failing import BROKEN_PIPE, Door
from tests.cli import BAD_INPUT, COMMAND, OK, REFUSED, UNREACHABLE, Cli, on_terminal
from tests.waiting import wait_until_sync

SOON = 10.0  # seconds until a person must have been told
EVERY = [
    "status", "hosts", "workspaces", "limits", "backoff", "events", "poke", "start", "stop", "doctor",
    "config show", "why a/1", "wait a/1", "logs a/1", "cancel a/1", "retry a/1", "kill a/1", "dispatch a/1",
    "complete a/1 --status failed", "host quiet h1", "limits codex 5", "backoff codex 5m",
]  # fmt: skip


@pytest.mark.reference(3, "T2", "T5", "T27")
@pytest.mark.parametrize("line", EVERY[::4])
def test_a_redis_that_is_away_is_told_in_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setenv("REDIS_URL", "unix:///nowhere/redis.sock")
    at = monotonic()
    result = cli(*line.split(), code=UNREACHABLE)
    assert monotonic() - at < SOON
    (said,) = result.stderr.splitlines()
    assert said.startswith("coordinator: Redis at unix:///nowhere/redis.sock can not be reached")
    assert said.endswith("is it running, and is REDIS_URL right?")


def test_a_redis_that_accepts_and_never_answers_is_told_in_time(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("REDIS_URL", f"redis://:secret@127.0.0.1:{mute.getsockname()[1]}/0")
        at = monotonic()
        said = cli.wrong("status", code=UNREACHABLE)
        assert monotonic() - at < SOON
        assert "can not be reached (Timeout reading from " in said
        assert "secret" not in said


@pytest.mark.reference(3, "T27")
def test_without_a_url_or_a_server_it_names_the_command_that_starts_one(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("REDIS_URL")
    assert cli.wrong("status", code=UNREACHABLE) == (
        f"coordinator: no server runs for {tmp_path}/workspace: start one with `coordinator up`, or set REDIS_URL"
    )
    assert not (tmp_path / "workspace").exists()  # and never starts one
    assert "--root: is empty" in cli.wrong("status", "--root", "", code=BAD_INPUT)


def test_the_embedded_server_of_a_root_is_found(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("REDIS_URL")
    cli.config.write_text(f"dispatch: {{workspace_root: {tmp_path}/other}}\n")
    with embedded.hold(tmp_path / "other") as server:
        assert cli.json("status")["redis_cli"] == server.cli
        assert cli.json("status", "--root", str(tmp_path / "other"))["redis_cli"] == server.cli
        cli("status", "--root", str(tmp_path), code=UNREACHABLE)


def test_a_wrong_environment_is_told_with_every_problem(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "http://localhost")
    monkeypatch.setenv("DISPATCH_NAMESPACE", "a b")
    lines = cli("status", code=BAD_INPUT).stderr.splitlines()
    assert [line.split(":")[1] for line in lines] == [" REDIS_URL", " DISPATCH_NAMESPACE"]


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        return line.connect_ex(str(path)) == 0


@contextmanager
def a_server(tmp_path: Path, *options: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A Redis of its own; its socket comes last of all it makes."""
    path = tmp_path / "own.sock"
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not on PATH")
    command = [program, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until_sync(lambda: _answers(path), "the server listens")
            yield f"unix://{path}", process
        finally:
            process.kill()


def test_a_password_that_is_missing_is_asked_for(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with a_server(tmp_path, "--requirepass", "s3cret") as (url, _):
        monkeypatch.setenv("REDIS_URL", url)
        assert "wants a password: put it into REDIS_URL" in cli.wrong("status", code=UNREACHABLE)


def test_a_wrong_password_is_told_as_such(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with a_server(tmp_path, "--requirepass", "s3cret") as (url, _):
        monkeypatch.setenv("REDIS_URL", url.replace("unix://", "unix://:wr0ng@"))
        said = cli.wrong("status", code=UNREACHABLE)
        assert "mend REDIS_URL" in said
        assert "wr0ng" not in said


def test_a_password_is_never_shown(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with a_server(tmp_path, "--requirepass", "s3cret") as (url, _):
        monkeypatch.setenv("REDIS_URL", url.replace("unix://", "unix://:s3cret@"))
        text = cli.out("status")
        assert f"redis-cli -s {url.removeprefix('unix://')} --askpass" in text
        assert "s3cret" not in text


def test_a_user_without_the_rights_is_told_which(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with a_server(tmp_path, "--user", "poor", "on", ">p", "~*", "+ping", "+hello", "+auth", "+client") as (url, _):
        monkeypatch.setenv("REDIS_URL", url.replace("unix://", "unix://poor:p@"))
        assert "lacks a right" in cli.wrong("status", code=UNREACHABLE)


def test_a_read_only_replica_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with a_server(tmp_path, "--replicaof", "127.0.0.1 1", "--replica-serve-stale-data", "yes") as (url, _):
        monkeypatch.setenv("REDIS_URL", url)
        said = cli.wrong("dispatch", "a/1", code=UNREACHABLE)
        assert "read-only replica: point REDIS_URL at the primary" in said


def test_a_wait_goes_on_over_a_short_outage(thawed: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with a_server(tmp_path, *options) as (url, process):
        monkeypatch.setenv("REDIS_URL", url)
        thawed.url = url
        thawed("start")
        thawed.host()
        thawed("dispatch", "a/1", "--agent", "codex")
        (grant,) = thawed.claim()
        waiting = subprocess.Popen([*COMMAND, "wait", "a/1"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with waiting:
            listing = ["redis-cli", "-s", url[7:], "CLIENT", "LIST"]
            wait_until_sync(lambda: b"cmd=xread" in subprocess.check_output(listing), "the command waits for facts")
            process.kill()
            process.wait()
            (tmp_path / "own.sock").unlink()
            with a_server(tmp_path, *options):
                wait_until_sync(lambda: b"cmd=xread" in subprocess.check_output(listing), "it waits again")
                thawed.host()
                thawed.end(grant)
                out, err = waiting.communicate(timeout=30)
        assert out.startswith("a/1 completed")
        assert (err, waiting.returncode) == ("", OK)


def test_a_reader_that_leaves_is_no_error(thawed: Cli) -> None:
    lines = "".join(f'{{"workspace": "f/{number}"}}\n' for number in range(2000))
    thawed("dispatch", "--file", "-", typed=lines)
    command = [*COMMAND, "workspaces", "--count", "2000", "--json"]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == BROKEN_PIPE


def test_ctrl_c_while_redis_does_not_answer_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{mute.getsockname()[1]}/0")
        with subprocess.Popen([*COMMAND, "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            asked, _ = mute.accept()
            with asked:
                process.send_signal(signal.SIGINT)
                assert process.communicate(timeout=SOON) == (b"", b"")
        assert process.returncode == 130


@pytest.mark.parametrize("line", ["status", "hosts", "workspaces", "why a/1", "events", "limits", "doctor", "wait a/2"])
def test_colour_is_for_terminals_and_never_of_others_making(thawed: Cli, line: str) -> None:
    thawed.limits(codex=1)
    thawed.host()
    thawed("dispatch", "a/2", "--agent", "codex")
    thawed.end(thawed.claim()[0], "failed", question="\x1b[31mred")
    thawed("dispatch", "a/1", "--agent", "codx", "--task", "\x1b[31mred")
    thawed("stop", "--reason", "\u202eturned")
    assert "\x1b" not in thawed.run(*line.split()).output
    shown, _ = on_terminal(*line.split())
    assert ("\x1b" in shown) == (line != "events")
    assert "\x1b[31mred" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("line", EVERY)
def test_every_command_prints_json_for_machines(thawed: Cli, line: str) -> None:
    thawed.host()
    thawed("dispatch", "a/1", "--agent", "codex")
    words = [*line.split(), "--timeout", "10ms"] if line.startswith("wait") else line.split()
    result = thawed.run(*words, "--json")
    assert result.exit_code in (OK, REFUSED)
    assert all(isinstance(json.loads(text), dict) for text in result.stdout.splitlines())
    assert result.stdout or line in ("wait a/1", "logs a/1", "retry a/1", "kill a/1")


def test_a_wait_ends_in_time_also_where_the_client_loses_its_cancellation(
    thawed: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As redis-py does when it comes as it connects."""
    thawed("dispatch", "a/1", "--agent", "codex")
    connect = AbstractConnection.connect

    async def slow(self: AbstractConnection) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.2)
        await connect(self)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(AbstractConnection, "connect", slow)
    assert "the time is over" in thawed.wrong("wait", "a/1", "--timeout", "10ms", code=REFUSED)


def test_an_unexpected_error_is_one_line_too() -> None:
    door = typer.Typer(cls=Door)

    @door.command()
    def surprise() -> None:
        raise ZeroDivisionError("no number")

    @door.command()
    def other() -> None:
        pass

    result = CliRunner().invoke(door, ["surprise"])
    assert result.exit_code == REFUSED
    said = "coordinator: a bug: ZeroDivisionError: no number (python -X dev -m coordinator shows where)\n"
    assert result.output == said
    assert CliRunner().invoke(door, ["other"]).exit_code == OK
