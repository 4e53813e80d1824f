"""What a user is told of files that are another's."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.doors.texts import here
from workers.census import census

NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody may enter, which a test's own is not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def as_nobody(ask: Callable[[], Any]) -> Any:
    """What a process answers that may not read what is ours."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            told = json.dumps(ask())
        except BaseException as error:  # noqa: BLE001  # it is told
            told = json.dumps(repr(error))
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        told = file.read().decode()
    os.waitpid(child, 0)
    return json.loads(told)


def test_a_host_whose_lock_can_not_be_read_may_have_a_worker(place: Path) -> None:
    home = place / ".hosts" / "h1"
    home.mkdir(parents=True)
    (home / "lock").write_text("1")
    home.chmod(0)
    assert as_nobody(lambda: [(piece.host, piece.worked) for piece in census(place)]) == [["h1", True]]
    home.chmod(0o700)


def test_a_source_that_can_not_be_seen_is_left_as_it_is(place: Path) -> None:
    (place / "closed" / "repo").mkdir(parents=True)
    (place / "closed").chmod(0)
    assert as_nobody(lambda: here(str(place / "closed" / "repo"))) == str(place / "closed" / "repo")
    assert here("x" * 300) == "x" * 300
    (place / "closed").chmod(0o700)
