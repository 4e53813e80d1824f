"""The log of a run, cut while its agent writes."""

import os
from pathlib import Path

import pytest

from workers.output import Output

MOST = 1000
LINE = b"0123456789abcde\n"


def write(path: Path, text: bytes) -> None:
    with path.open("ab") as agent:
        agent.write(text)


def all_is_counted(path: Path, output: Output, written: int) -> None:
    """What stands there and what the notice says is left out are all that was written."""
    assert output.written() == written
    text = path.read_bytes()
    assert len(text) <= MOST
    (notice,) = (line for line in text.splitlines(keepends=True) if line.startswith(b"[dispatch: "))
    assert int(notice.split()[1]) + len(text) - len(notice) - len(b"\n") == written


def test_a_log_that_is_cut_again_says_what_is_left_out_in_all(tmp_path: Path) -> None:
    path = tmp_path / "log"
    output = Output(path)
    for times in (1, 2, 3):
        write(path, LINE * 100)
        output.cut(MOST)
        all_is_counted(path, output, times * 100 * len(LINE))


def test_a_log_to_which_somebody_writes_all_the_time_is_cut_when_it_is_twice_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = tmp_path / "log", os.pread
    output = Output(path)

    def meanwhile(file: int, length: int, offset: int) -> bytes:
        write(path, LINE)
        return read(file, length, offset)

    write(path, LINE * 80)
    monkeypatch.setattr(os, "pread", meanwhile)
    output.cut(MOST)
    assert output.size() == output.written() > MOST
    while output.size() > MOST:
        assert output.size() < 3 * MOST
        output.cut(MOST)


def test_what_is_written_while_a_log_is_cut_is_there_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read, words = tmp_path / "log", os.pread, [b"one\n", b"two\n", b"last\n"]
    output, written = Output(path), 100 * len(LINE) + len(b"".join(words))

    def meanwhile(file: int, length: int, offset: int) -> bytes:
        found = read(file, length, offset)
        if words:
            write(path, words.pop(0))
        return found

    write(path, LINE * 100)
    monkeypatch.setattr(os, "pread", meanwhile)
    output.cut(MOST)
    all_is_counted(path, output, written)
    assert path.read_bytes().endswith(b"one\ntwo\nlast\n")
