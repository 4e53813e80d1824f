"""Which modules a command line loads."""

import subprocess
import sys

import typer

from coordinator.doors.cli import COMMANDS, door


def names(app: typer.Typer) -> list[str]:
    commands = [one.name or getattr(one.callback, "__name__", "") for one in app.registered_commands]
    return commands + [one.name or "" for one in app.registered_groups]


def test_each_command_is_added_by_the_module_that_is_loaded_for_it() -> None:
    for added in COMMANDS.values():
        for name in added:
            assert names(door([name, "--json"])) == list(added)


def test_without_a_known_command_all_are_there() -> None:
    every = sorted(name for added in COMMANDS.values() for name in added)
    for words in ([], ["--help"], ["statsu"]):
        assert sorted(names(door(words))) == every


def test_a_command_loads_no_other() -> None:
    code = (
        "import sys; from coordinator.doors.cli import main; sys.argv[1:] = ['status', '--help']\n"
        "try: main()\nfinally: print('loaded', *sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert "coordinator status [OPTIONS]" in ran.stdout
    loaded = ran.stdout.rpartition("loaded")[2].split()
    assert [one for one in loaded if one.startswith("coordinator.doors.commands.")] == [
        "coordinator.doors.commands.status"
    ]
    assert not any(one.startswith("workers") for one in loaded)
