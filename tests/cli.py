"""The command line in the test's own process, on a real server, and a host that answers as a worker would."""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from typer.testing import CliRunner, Result

from coordinator.doors.cli import door
from coordinator.models import Grant
from coordinator.operations import Apply, Claim, Complete, Renew
from coordinator.operations._operation import Operation
from coordinator.operations.claim import Claimed
from coordinator.store import Store

Reply = TypeVar("Reply")

ROOT = "{dispatch}"
OK, REFUSED, BAD_INPUT, UNREACHABLE = 0, 1, 2, 3
COMMAND = [sys.executable, "-m", "coordinator"]


def on_terminal(*words: str, columns: int = 80, typed: str = "") -> tuple[str, int]:
    """What a real process shows on a terminal of this width, and its exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    shown = b""
    with subprocess.Popen([*COMMAND, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environ) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        with contextlib.suppress(OSError):  # the end of a terminal is an error
            while block := os.read(ours, 65536):
                shown += block
    os.close(ours)
    return shown.decode().replace("\r\n", "\n"), process.returncode


class Cli:
    """Types commands. Call it with words; the exit code that is expected is checked, None: any."""

    def __init__(self, url: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.url, self.place = url, place
        self.config, self.root = place / "agents.yaml", place / "workspace"
        self.seq = 0
        for name in ("DISPATCH_NAMESPACE", "DISPATCH_CONFIG", "CORE_AGENT_DISPATCH", "NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("REDIS_URL", url)
        monkeypatch.setenv("CORE_WORKSPACE", str(place))
        monkeypatch.setenv("COLUMNS", "100")

    def __call__(self, *words: str, code: int | None = OK, typed: str | bytes | None = None) -> Result:
        result = self.run(*words, typed=typed)
        said = f"{words} exited {result.exit_code}\n{result.stdout}\n{result.stderr}"
        assert code in (None, result.exit_code), said
        assert "Traceback" not in result.output, said
        return result

    def run(self, *words: str, typed: str | bytes | None = None) -> Result:
        """What comes of it, whatever its exit code."""
        return CliRunner().invoke(door(), list(words), input=typed, prog_name="coordinator")

    def out(self, *words: str, **more: Any) -> str:
        """What it prints on stdout."""
        return self(*words, **more).stdout

    def wrong(self, *words: str, code: int, out: str = "") -> str:
        """The one line of an error, and nothing but `out` before it."""
        result = self(*words, code=code)
        lines = result.stderr.splitlines()
        assert len(lines) == 1, lines
        assert result.stdout == out
        return lines[0]

    def json(self, *words: str, code: int | None = OK) -> Any:
        """The one object it prints with --json."""
        (line,) = self(*words, "--json", code=code).stdout.splitlines()
        return json.loads(line)

    def do(self, operation: Operation[Reply]) -> Reply:
        """Ask the server, past the command line."""

        async def ask() -> Reply:
            async with Store.connect(self.url, ROOT) as store:
                return await store.run(operation)

        return asyncio.run(ask())

    def host(self, name: str = "h1", pools: tuple[str, ...] = ("codex", "claude"), slots: int = 4) -> None:
        """A host beats, and waits for work."""
        self.do(Renew(host=name, incarnation=f"{name}-1", pools=list(pools), slots=slots))

    def claim(self, name: str = "h1", count: int | None = None) -> list[Grant]:
        """The host asks for work."""
        self.seq += 1
        reply = self.do(Claim(host=name, incarnation=f"{name}-1", seq=self.seq, count=count))
        assert isinstance(reply, Claimed)
        return list(reply.grants)

    def end(self, grant: Grant, status: str = "completed", **more: Any) -> None:
        """The holder of a run ends it."""
        asked = Complete.model_validate(
            {"workspace": grant.workspace, "token": grant.token, "status": status, "exit_code": 0, **more}
        )
        assert self.do(asked).outcome == "completed"

    def limits(self, **limits: int) -> None:
        """Limits of pools in force."""
        self.do(Apply(limits=dict(limits)))


def run(cli: Cli, *words: str) -> Grant:
    """One that runs."""
    cli("dispatch", "a/running", *words)
    (grant,) = cli.claim()
    return grant


@contextlib.contextmanager
def started(*words: str, command: Sequence[str] = COMMAND) -> Iterator["subprocess.Popen[str]"]:
    """A command in a process of its own, which does not outlive this."""
    with subprocess.Popen([*command, *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()
