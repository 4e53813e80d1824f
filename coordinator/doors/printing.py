"""Printing for people and for machines. Text that others wrote is shown without its control characters."""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNBOUNDED: Final = 100_000  # columns: what is no terminal gets every line whole

_GAP: Final = 2
_SHORT: Final = 24  # columns; what is no longer is never folded
_LEAST: Final = 16  # columns of the last column, also where long names leave none


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704  # called while the error is handled; failing.py ends quietly


def console(*, err: bool = False) -> Console:
    """A console on stdout or stderr as they are now. A pipe gets plain whole lines."""
    made = _Console(stderr=err, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = _UNBOUNDED
    return made


def plain(text: object) -> str:
    """`text` on one line, every character that is not printable written as an escape."""
    line = re.sub(r" *[\t\r\n\v\f]\s*", " ", str(text).strip("\r\n"))
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def say(text: str, style: str = "") -> None:
    """One line for people, on stdout."""
    console().print(Text(plain(text), style), soft_wrap=True)


def complain(text: str) -> None:
    """One line on stderr."""
    console(err=True).print(Text(f"coordinator: {plain(text)}"), soft_wrap=True)


def note(text: str) -> None:
    """One line of advice on stderr: no error, and nothing a machine reads."""
    console(err=True).print(Text(plain(text), "dim"), soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], styles: Mapping[str, str] | None = None) -> None:
    """Columns under their names. On a terminal the last column is cut to the room it has; long names fold.

    `styles` colours a cell by its text.
    """
    cells = [[plain(cell) for cell in row] for row in rows]
    longest = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    out = console()
    room = max(out.width - sum(longest[:-1]) - _GAP * len(columns), _LEAST)
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for column, length in zip(columns[:-1], longest, strict=False):
        grid.add_column(column, overflow="fold", no_wrap=length <= _SHORT)
    grid.add_column(columns[-1], overflow="ellipsis", no_wrap=True, max_width=room)
    for row in cells:
        grid.add_row(*(Text(cell, (styles or {}).get(cell, "")) for cell in row))
    if out.is_terminal:
        out.print(grid)
        return
    with out.capture() as captured:
        out.print(grid)
    for line in captured.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def emit(record: BaseModel | Mapping[str, Any], **more: Any) -> None:
    """One line of JSON: the fields of an answer, and `more`. What is absent stays absent."""
    fields = record.model_dump(mode="json", exclude_none=True) if isinstance(record, BaseModel) else dict(record)
    whole = {name: value for name, value in (more | fields).items() if value is not None}
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    sys.stdout.write(json.dumps(whole, ensure_ascii=not utf8) + "\n")
    sys.stdout.flush()
