"""requirements.lock names what pyproject.toml needs, through all that those packages need, and nothing more."""

import importlib.metadata
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parent.parent.parent


def pins() -> dict[str, Requirement]:
    """The locked packages that this interpreter and machine want, by name."""
    lines = (TOP / "requirements.lock").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.lstrip().startswith("#")]
    return {canonicalize_name(one.name): one for one in found if one.marker is None or one.marker.evaluate()}


def asked() -> list[Requirement]:
    """What pyproject.toml asks for, to run and to develop."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    found = [Requirement(line) for line in (*project["dependencies"], *project["optional-dependencies"]["dev"])]
    return [one for one in found if one.marker is None or one.marker.evaluate()]


def needed(wanted: list[Requirement]) -> Iterator[Requirement]:
    """These, and all that the installed packages say they need in turn."""
    seen: set[tuple[str, str]] = set()
    while wanted:
        one = wanted.pop()
        yield one
        for extra in {"", *one.extras} - {known for name, known in seen if name == one.name}:
            seen.add((one.name, extra))
            found = [Requirement(line) for line in importlib.metadata.requires(one.name) or []]
            wanted += [each for each in found if each.marker is None or each.marker.evaluate({"extra": extra})]


def test_what_is_asked_for_is_locked_and_nothing_else() -> None:
    names = {canonicalize_name(one.name) for one in needed(asked())}
    assert set(pins()) == names


def test_each_lock_is_one_version_that_was_asked_for() -> None:
    locked = pins()
    for one in needed(asked()):
        [exact] = locked[canonicalize_name(one.name)].specifier
        assert exact.operator == "=="
        assert one.specifier.contains(exact.version), f"{one} is locked as {exact.version}"
