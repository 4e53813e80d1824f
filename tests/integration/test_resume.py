"""Blocked, answered, resumed, completed: by commands alone, from a machine that holds nothing of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fleet import Fleet
from tests.waiting import wait_until

NAME = "core/go-io/task-5"
PROGRAM = Path(__file__).parent.parent / "fakes" / "program.py"
_ASKS = """
printf '%s' "$1" > told
if [ -f ANSWER.md ]; then echo "listen on $(cat ANSWER.md)" > done; exit 0; fi
echo 'which port?' > BLOCKED.md
exit 1
"""


class Operator:
    """Types commands on a machine of his own, with a root of his own: only Redis is the same."""

    def __init__(self, url: str, place: Path) -> None:
        self.place = place
        unwanted = ("DISPATCH_CONFIG", "DISPATCH_NAMESPACE")
        environ = {name: value for name, value in os.environ.items() if name not in unwanted}
        self._environ = environ | {"REDIS_URL": url, "CORE_WORKSPACE": str(place), "COLUMNS": "200"}

    def __call__(self, *words: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "coordinator", *words]
        ran = subprocess.run(command, env=self._environ, text=True, capture_output=True, timeout=60, check=False)
        assert ran.returncode == code, f"{words}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout


def machine(server_url: str, place: Path, runners: dict[str, object]) -> Fleet:
    """One machine with its own root."""
    place.mkdir()
    return Fleet(server_url, place, dict.fromkeys(runners, 4), runners)


@pytest.mark.reference(79, 80, "W24")
async def test_an_agent_asks_is_answered_and_goes_on_where_it_was(server_url: str, tmp_path: Path) -> None:
    runners: dict[str, object] = {"asks": {"command": ["sh", "-c", _ASKS, "sh", "{task}"]}}
    operator = Operator(server_url, tmp_path / "operator")
    async with (
        machine(server_url, tmp_path / "one", runners) as one,
        machine(server_url, tmp_path / "two", runners) as two,
    ):
        one.serve("r1")
        one.work("h1", 1)
        two.work("h2", 1)
        await one.ready(2)
        operator("dispatch", NAME, "--agent", "asks", "--task", "Serve it.")
        assert "which port?" in operator("wait", NAME, "--timeout", "30s", code=1)
        asked = await one.record(NAME)
        here, there = (one, two) if asked.host == "h1" else (two, one)
        assert (asked.status, asked.exit_code, asked.question) == ("blocked", 1, "which port?")
        assert f"{NAME} asks: which port?" in operator("status")
        assert "which port?" in operator("workspaces", "--status", "blocked")
        said = operator("resume", NAME, "--answer", "8080", "--wait").splitlines()
        assert said[0].startswith(f"{NAME} queued again in front, for host {asked.host}")
        assert said[1].startswith(f"{NAME} completed")
        directory = here.root / NAME
        assert (directory / "done").read_text() == "listen on 8080\n"
        assert (directory / "ANSWER.md").read_text() == "8080"
        told = (directory / "told").read_text()
        assert told.startswith("Serve it.\n\n")
        assert told.endswith(":\n\n8080")
        assert not (directory / "BLOCKED.md").exists()
        assert not (there.root / NAME).exists()
        assert not operator.place.exists()
        record = await one.record(NAME)
        assert (record.host, record.runs, record.attempt, record.answer) == (asked.host, 2, 1, None)
        assert json.loads((directory / "status.json").read_text())["runs"] == 2
        assert operator("wait", NAME).startswith(f"{NAME} completed")


def started(home: Path) -> list[dict[str, Any]]:
    """What the program was started with, each time."""
    return [json.loads(line) for line in (home / "started").read_text().splitlines()]


@pytest.mark.parametrize("name", ["claude", "codex", "gemini"])
async def test_the_agents_own_session_goes_on_also_when_its_worker_died_meanwhile(
    server_url: str, tmp_path: Path, name: str
) -> None:
    programs, home = tmp_path / "bin", tmp_path / "home"
    programs.mkdir()
    home.mkdir()
    (programs / name).symlink_to(PROGRAM)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    runners: dict[str, object] = {name: {"adapter": name, "env": {"PATH": path, "HOME": str(home)}}}
    operator = Operator(server_url, tmp_path / "operator")
    async with machine(server_url, tmp_path / "one", runners) as fleet:
        await fleet.begin(1)
        operator("dispatch", NAME, "--agent", f"{name}:best", "--task", "Serve it.")
        await wait_until((home / "started").exists, "the program is started", 20)
        fleet.kill("h1")
        fleet.work("h1", 1)
        (fleet.root / NAME / "ask").touch()
        asked = await fleet.becomes(NAME, "blocked", deadline=20)
        (first,) = started(home)
        assert (asked.session, first["stdin"], first["goes_on"]) == (first["session"], "Serve it.", False)
        operator("resume", NAME, "--answer", "8080", "--wait")
        second = started(home)[1]
        assert (second["session"], second["goes_on"]) == (asked.session, True)
        assert "Serve it." not in second["stdin"]
        assert second["stdin"].endswith("\n\n8080")
        assert (fleet.root / NAME / "done").read_text() == "8080"
        assert (await fleet.record(NAME)).session == asked.session


async def test_a_session_that_its_program_has_lost_is_begun_anew_with_the_next_answer(
    server_url: str, tmp_path: Path
) -> None:
    programs, home = tmp_path / "bin", tmp_path / "home"
    programs.mkdir()
    home.mkdir()
    (programs / "claude").symlink_to(PROGRAM)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    runners: dict[str, object] = {"claude": {"adapter": "claude", "env": {"PATH": path, "HOME": str(home)}}}
    operator = Operator(server_url, tmp_path / "operator")
    async with machine(server_url, tmp_path / "one", runners) as fleet:
        await fleet.begin(1)
        (fleet.root / NAME).mkdir(parents=True)
        (fleet.root / NAME / "ask").touch()
        operator("dispatch", NAME, "--task", "Serve it.")
        await fleet.becomes(NAME, "blocked", deadline=20)
        for kept in home.glob("claude-*"):
            kept.unlink()
        assert "exited with code 1" in operator("resume", NAME, "--answer", "8080", "--wait", code=1)
        operator("resume", NAME, "--answer", "8080", "--wait")
        first, lost, anew = started(home)
        assert [first["goes_on"], lost["goes_on"], anew["goes_on"]] == [False, True, False]
        assert anew["session"] != first["session"]
        assert anew["stdin"].startswith("Serve it.")
