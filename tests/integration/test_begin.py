"""How a replica begins and ends: what a new namespace gets, what a known one keeps, and that an end changes nothing."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from coordinator.operations import Submit
from tests.cli import COMMAND, Cli
from tests.waiting import wait_until_sync


@contextmanager
def serving(cli: Cli, dispatch: str | None, word: str = "serve") -> Iterator[None]:
    """A replica that has begun; it is told to end, and ends well."""
    environ = {**os.environ, **({} if dispatch is None else {"CORE_AGENT_DISPATCH": dispatch})}
    with subprocess.Popen([*COMMAND, word], env=environ, text=True, stderr=subprocess.PIPE) as process:
        assert process.stderr
        try:
            wait_until_sync(lambda line=process.stderr: "serving" in line.readline(), "it serves", 30)  # type: ignore[misc]
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said


@pytest.mark.reference(6, "T28")
@pytest.mark.parametrize(("dispatch", "frozen"), [(None, True), ("true", True), ("0", True), ("1", False)])
def test_only_exactly_1_thaws_a_new_namespace(cli: Cli, dispatch: str | None, frozen: bool) -> None:
    with serving(cli, dispatch):
        assert cli.json("status")["frozen"] is frozen


@pytest.mark.reference(6, 7, 8, "W20", "W29", "T29", "T31")
def test_a_replica_that_ends_freezes_nothing_and_one_that_begins_thaws_nothing(cli: Cli) -> None:
    with serving(cli, "1"):
        assert cli.json("status")["frozen"] is False
    assert cli.json("status")["frozen"] is False
    cli("stop", "--reason", "release day")
    with serving(cli, "1"):
        assert cli.json("status")["freeze"]["reason"] == "release day"


@pytest.mark.reference("W20")
def test_up_thaws_the_namespace_that_it_makes_and_none_that_somebody_stopped(cli: Cli) -> None:
    cli.config.write_text("runners: {x: {command: [sleep, '1']}}\nconcurrency: {x: 1}\n")
    with serving(cli, None, "up"):
        assert cli.json("status")["frozen"] is False
    cli("stop", "--reason", "release day")
    with serving(cli, "1", "up"):
        assert cli.json("status")["freeze"]["reason"] == "release day"
        assert cli.json("dispatch", "a/1", "--agent", "x")["refusal"]["reason"] == "frozen"


@pytest.mark.reference(55, 60, "T25", "T48", "T49", "T63")
def test_without_a_file_the_defaults_are_in_force(cli: Cli) -> None:
    with serving(cli, "1"):
        assert cli.json("limits")["limits"] == {"claude": 1, "gemini": 3}
        assert cli.json("config", "show")["default_agent"] == "claude"
        for agent in ("codex", "unknown"):
            assert cli.do(Submit(workspace=f"a/{agent}", agent=agent, asker="svc")).outcome == "granted"


@pytest.mark.reference(54, 60, "W22", "T64")
def test_with_a_broken_file_nothing_begins(cli: Cli) -> None:
    cli.config.write_text("concurrency: {codex: [1]}\n")
    ran = subprocess.run([*COMMAND, "serve"], text=True, capture_output=True, check=False, timeout=30)
    assert ran.returncode == 2
    assert "concurrency.codex: must be a whole number" in ran.stderr
    assert cli.json("limits")["limits"] == {}


@pytest.mark.reference(5, 9, "T26")
def test_the_six_actions_are_there_from_the_first_call_on(cli: Cli) -> None:
    assert cli.json("status")["outcome"] == "status"
    assert cli.json("start")["outcome"] == "thawed"
    assert cli.json("dispatch", "a/1", "--agent", "codex")["outcome"] == "queued"
    assert cli.json("poke")["outcome"] == "reaped"
    assert cli.json("stop")["outcome"] == "frozen"
    assert cli.json("kill", "--yes")["outcome"] == "killing"
    assert cli.json("status")["failed"] == 1
