"""What `worker run` and `coordinator up` were given and a host can not be: one line says which, and nothing is made."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coordinator.doors.cli import door
from tests.cli import BAD_INPUT, Cli
from workers.cli import app

PROGRAMS = ["worker run", "coordinator up"]
BOTH = pytest.mark.parametrize("program", PROGRAMS)
NAME = "must be 1 to 64 letters, digits and ._- (a letter or digit first), got"
LABEL = "must be 1 to 64 letters, digits and ._=/- (a letter or digit first), got"


@pytest.fixture
def root(cli: Cli) -> Path:
    """Two directories down, so that what leads out of it shows; it is not made."""
    cli.config.write_text("concurrency: {codex: 1}\nrunners: {codex: {command: [cat]}}\n")
    return cli.place / "a" / "root"


def said(program: str, root: Path, *words: str) -> str:
    """The one line of a program that ends over what it was given."""
    name, verb = program.split()
    commands = app if name == "worker" else door([verb])
    result = CliRunner().invoke(commands, [verb, "--root", str(root), *words], prog_name=name)
    assert result.exit_code == BAD_INPUT, (result.output, result.exception)
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"{name}: ")
    return line.removeprefix(f"{name}: ")


def below(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


@BOTH
@pytest.mark.parametrize("host", ["build 1", "../../esc"])
def test_a_name_that_no_host_can_have_is_told_before_anything_is_made(
    cli: Cli, root: Path, program: str, host: str
) -> None:
    assert said(program, root, "--host", host) == f"--host: {NAME} {host!r}; write it like h1"
    assert below(cli.place) == ["agents.yaml"]


@BOTH
def test_more_runners_than_a_host_can_serve_are_told_before_anything_is_made(
    cli: Cli, root: Path, program: str
) -> None:
    cli.config.write_text("runners:\n" + "".join(f"  p{number}: {{command: [cat]}}\n" for number in range(65)))
    assert said(program, root) == "runners of agents.yaml: must have at most 64 entries; leave some out"
    assert below(cli.place) == ["agents.yaml"]


def test_a_label_that_is_none_is_told_before_anything_is_made(cli: Cli, root: Path) -> None:
    told = said("worker run", root, "--label", "gpu", "--label", "a b")
    assert told == f"--label: {LABEL} 'a b'; write it like gpu=a100"
    assert below(cli.place) == ["agents.yaml"]


def a_file(root: Path) -> Path:
    root.parent.mkdir()
    root.touch()
    return root


def a_link_to_itself(root: Path) -> Path:
    root.parent.mkdir()
    root.symlink_to(root)
    return root


def where_none_can_be(_: Path) -> Path:
    return Path("/proc/root-of-agents")


def a_lock_that_is_a_directory(root: Path) -> Path:
    (root / ".hosts" / "h1" / "lock").mkdir(parents=True)
    return root


@BOTH
@pytest.mark.parametrize(
    ("made", "path", "reason"),
    [
        (a_file, ".hosts/h1/runs", "Not a directory"),
        (a_link_to_itself, ".hosts/h1/runs", "Too many levels of symbolic links"),
        (where_none_can_be, "", "No such file or directory"),
        (a_lock_that_is_a_directory, ".hosts/h1/lock", "Is a directory"),
    ],
)
def test_a_root_that_can_not_be_used_is_named_with_the_reason(
    root: Path, program: str, made: Callable[[Path], Path], path: str, reason: str
) -> None:
    place = made(root)
    told = said(program, place, "--host", "h1")
    assert told == f"{place / path}: this host can not use it ({reason}); mend that, or choose another --root"
