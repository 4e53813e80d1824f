"""Workspace roots with an embedded server: processes that hold it, and what may be left when none does."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis import Redis

from coordinator.embedded.server import Server, find
from tests.servers import REDIS, program

PATH = os.environ.get("PATH", os.defpath)
LEFT = {"appendonlydir", "redis.conf", "redis.log", "server.json"}
HOLDER = """
import sys
from pathlib import Path
from coordinator.embedded.server import hold
with hold(Path(sys.argv[1])) as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""
Holder = tuple["subprocess.Popen[str]", int]
"""A process that holds, and the id of the server it was given."""


def use(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this a machine with redis-server on PATH, or one with only the Valkey of the Python package."""
    monkeypatch.setenv("PATH", PATH)
    programs = tmp_path / f"bin-{kind}"
    programs.mkdir()
    if kind == REDIS:
        (programs / "redis-server").symlink_to(program(kind))
    monkeypatch.setenv("PATH", str(programs))


@contextmanager
def holder(root: Path) -> Iterator[Holder]:
    """One other process that holds the server until the end."""
    with holders(root, 1) as [one]:
        yield one


@contextmanager
def holders(root: Path, count: int) -> Iterator[list[Holder]]:
    """Other processes, started at once, that hold the server until the end; each leads a process group of its own."""
    command = [sys.executable, "-W", "error", "-c", HOLDER, str(root)]
    with ExitStack() as ends:
        started = [
            ends.enter_context(
                subprocess.Popen(
                    command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
                )
            )
            for _ in range(count)
        ]
        yield [(process, int(process.stdout.readline())) for process in started if process.stdout]


def ask(server: Server, *words: str) -> Any:
    with Redis.from_url(server.url, decode_responses=True) as client:
        return client.execute_command(*words)


def keeper_of(server: Server) -> psutil.Process:
    keeper = psutil.Process(server.pid).parent()
    assert keeper is not None
    assert "keeper.py" in " ".join(keeper.cmdline())
    return keeper


def processes(root: Path) -> list[int]:
    """The live keepers and servers of this root."""
    data = str(root / ".coordinator" / "redis")
    found = psutil.process_iter(["cmdline"])
    return [process.pid for process in found if any(word.startswith(data) for word in process.info["cmdline"] or ())]


def assert_only_data_left(root: Path) -> None:
    assert processes(root) == []
    assert {path.name for path in (root / ".coordinator" / "redis").iterdir()} == LEFT
    assert find(root) is None
