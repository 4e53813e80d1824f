"""Which agents a host starts: those its file names, else the known programs that are there."""

from pathlib import Path

import pytest

from coordinator import ConfigError, fleet
from workers.served import served

FILE = Path("agents.yaml")
REFERENCE = """
version: 1
dispatch: {default_agent: claude, timeout_minutes: 30}
concurrency: {claude: 3, codex: {total: 5, gpt-5.4: 1}}
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(programs: Path, *names: str) -> None:
    for name in names:
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)


def test_a_file_of_the_reference_runner_serves_the_known_programs_that_are_there(programs: Path) -> None:
    install(programs, "codex", "gemini", "vim")
    found = served(fleet.parse(REFERENCE)[0], FILE)
    assert {pool: runner.adapter for pool, runner in found.items()} == {"codex": "codex", "gemini": "gemini"}
    assert {runner.timeout for runner in found.values()} == {1_800_000}


def test_a_file_that_names_runners_serves_those_alone(programs: Path) -> None:
    install(programs, "codex")
    known = fleet.parse(REFERENCE + "runners: {claude: {command: [cat]}}")[0]
    assert served(known, FILE) == known.runners


def test_a_host_that_could_run_nothing_says_what_to_do(programs: Path) -> None:
    with pytest.raises(ConfigError, match=r"none of claude, codex, gemini is on PATH.*coordinator init"):
        served(fleet.parse(REFERENCE)[0], FILE)
