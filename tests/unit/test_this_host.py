"""A host that could start nothing says so, and keeps its name to itself."""

import errno
import os
from pathlib import Path

import pytest

from coordinator.errors import HostTaken
from workers.host import Lock, disk_trouble


def test_a_disk_that_has_no_room_for_another_file_is_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk_trouble(tmp_path) == ""
    whole = os.statvfs(tmp_path)
    fields = {name: getattr(whole, name) for name in dir(whole) if name.startswith("f_")}

    def left(files: int, of: int) -> str:
        found = type("Found", (), fields | {"f_files": of, "f_favail": files})
        monkeypatch.setattr(os, "statvfs", lambda _: found)
        return disk_trouble(tmp_path)

    assert left(10, of=1_000_000).endswith("has room for 10 files more")
    assert left(1_000_000, of=2_000_000) == ""
    assert left(0, of=0) == ""  # one that makes room as it needs it


def test_a_lock_that_could_not_be_written_is_taken_at_a_later_beat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = Lock(tmp_path, "h1")
    (tmp_path / "lock").unlink()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        lock.keep()
    lock.keep()
    assert (tmp_path / "lock").read_text() == str(os.getpid())
    with pytest.raises(HostTaken, match=f"pid {os.getpid()}"):
        Lock(tmp_path, "h1")
    lock.close()
