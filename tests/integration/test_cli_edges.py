"""What commands say where something beside the fleet is odd: a full disk, a slow walk, stdin wanted twice."""

import asyncio
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from coordinator.doors import session
from coordinator.operations import Apply, Query, Submit
from coordinator.store import Store
from tests.cli import BAD_INPUT, COMMAND, OK, REFUSED, Cli


def command_of(text: str, name: str) -> list[str]:
    """The words of the command that a fact of `why` names."""
    (line,) = [line for line in text.splitlines() if line.strip().startswith(name)]
    return shlex.split(line.split("coordinator", 1)[1].replace("NAME", "work"))


@pytest.mark.parametrize("walk", ["names", "types"])
def test_a_walk_through_many_keys_may_take_longer_than_one_answer(
    thawed: Cli, monkeypatch: pytest.MonkeyPatch, walk: str
) -> None:
    monkeypatch.setattr(session, "PATIENCE", 1.5)
    whole = getattr(Store, walk)

    async def slow(store: Store) -> object:
        await asyncio.sleep(1.6)
        return await whole(store)

    monkeypatch.setattr(Store, walk, slow)
    assert "Redis" in thawed.out("doctor", code=None)


def test_what_opens_a_group_of_accounts_is_a_command_that_does(thawed: Cli) -> None:
    thawed.host()
    thawed.do(Apply(limits={"account:codex/work": 0}, accounts={"codex": ["work"]}))
    thawed("dispatch", "a/1", "--agent", "codex")
    thawed(*command_of(thawed.out("why", "a/1"), "until"))
    thawed("stop", "--key", "account:codex/work")
    thawed(*command_of(thawed.out("why", "a/1"), "until"))
    assert len(thawed.claim()) == 1


def test_a_key_that_is_frozen_is_named_with_the_command_that_thaws_it(thawed: Cli) -> None:
    thawed.do(Apply(limits={}, accounts={"codex": ["work"]}))
    thawed.host()
    thawed("stop", "--key", "account:codex/work")
    said = thawed("dispatch", "a/1", "--agent", "codex").stderr
    thawed(*command_of(said, "thaw the queue"))
    assert len(thawed.claim()) == 1


def test_hosts_without_slots_are_no_reason_to_set_a_limit(thawed: Cli) -> None:
    thawed.host(slots=0)
    thawed("dispatch", "a/1", "--agent", "codex")
    shown = thawed.out("why", "a/1")
    assert "hosts full: 0/0 slots on 1 host" in shown
    assert "coordinator limits" not in shown
    thawed(*command_of(shown, "until"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no such device")  # noqa: PTH110
def test_output_that_can_not_be_written_is_told_in_one_line() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run([*COMMAND, "library"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == REFUSED
    assert done.stderr == "coordinator: the output can not be written: No space left on device\n"


def test_a_command_whose_output_is_closed_does_what_it_is_for(cli: Cli) -> None:
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "start"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (OK, b"")
    assert cli.json("status")["frozen"] is False


@pytest.mark.parametrize("words", [("--task", "-"), ("--task-file", "-")])
def test_one_stdin_is_not_the_lines_and_the_task(thawed: Cli, words: tuple[str, str]) -> None:
    said = thawed.run("dispatch", "--file", "-", *words, typed='{"workspace":"a/1"}\n')
    assert said.exit_code == BAD_INPUT
    assert "--file: can not be stdin too: the task is" in said.stderr


def test_a_line_that_is_refused_is_not_waited_for(cli: Cli) -> None:
    line = '{"workspace":"a/1","agent":"codex","asker":"svc","else":"refuse"}\n'
    done = cli("dispatch", "--file", "-", "--wait", typed=line, code=REFUSED)
    assert "no workspace" not in done.stderr


def test_a_local_source_in_a_line_becomes_an_absolute_path(
    thawed: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    thawed(
        "dispatch", "--file", "-", typed='{"workspace":"a/1","source":"."}\n{"workspace":"a/2","source":5}\n', code=2
    )
    assert thawed.do(Query(workspace="a/1")).workspaces[0].source == str(tmp_path.resolve())


def test_the_next_page_is_of_the_same_root_and_as_long(thawed: Cli) -> None:
    for number in range(5):
        thawed.do(Submit(workspace=f"a/{number}", agent="codex"))
    more = thawed("workspaces", "--count", "2", "--root", str(thawed.root)).stderr
    words = shlex.split(more.removeprefix("more: coordinator "))
    assert words[:5] == ["workspaces", "--count", "2", "--root", str(thawed.root)]
    assert len(thawed.json(*words)["workspaces"]) == 2


def test_a_root_that_may_not_be_looked_into_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", closed)
    assert cli.wrong("hydrate", code=REFUSED).endswith("workspace: Permission denied")
