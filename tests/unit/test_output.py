"""The log of a run, cut while its agent writes."""

import os
from pathlib import Path

import pytest

from workers.output import Output

MOST = 1000
LINE = b"0123456789abcde\n"


def test_what_is_written_while_a_log_is_cut_is_counted_as_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = tmp_path / "log", os.pread
    output = Output(path)

    def meanwhile(file: int, length: int, offset: int) -> bytes:
        with path.open("ab") as agent:
            agent.write(LINE * 10)
        return read(file, length, offset)

    with path.open("ab") as agent:
        agent.write(LINE * 100)
    monkeypatch.setattr(os, "pread", meanwhile)
    output.cut(MOST)
    text = path.read_bytes()
    notice = next(line for line in text.splitlines(keepends=True) if line.startswith(b"[dispatch: "))
    left_out = int(notice.split()[1])
    assert left_out + len(text) - len(notice) - len(b"\n") == len(LINE) * 110
    assert output.written() == len(LINE) * 110
