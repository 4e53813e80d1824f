"""Printing for people and for machines. Text that others wrote is shown without its control characters."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNBOUNDED: Final = 100_000  # columns: what is no terminal gets every line whole


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
    line = " ".join(str(text).split())
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
    """Columns under their names. On a terminal the last column is cut where it does not fit; others fold.

    `styles` colours a cell by its text.
    """
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns[:-1]:
        grid.add_column(column, overflow="fold")
    grid.add_column(columns[-1], overflow="ellipsis", no_wrap=True)
    for row in rows:
        cells = [plain(cell) for cell in row]
        grid.add_row(*(Text(cell, (styles or {}).get(cell, "")) for cell in cells))
    out = console()
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
