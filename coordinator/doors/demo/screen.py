"""Showing a demo while it runs: a table that is written over on a terminal, else a line whenever something changed."""

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from coordinator.doors.demo.moment import KeyRow, Moment
from coordinator.doors.printing import console, plain
from coordinator.models import HostView
from coordinator.words import model_of

_LINE_EVERY = 1.0  # seconds between plain lines


class Screen(Protocol):
    """Where a demo is shown."""

    def show(self, moment: Moment, tasks: int, seconds: float) -> None:
        """Show how things stand after some seconds."""


@contextlib.contextmanager
def opened(*, quiet: bool) -> Iterator[Screen]:
    """A live table on a terminal, plain lines elsewhere. Quiet: the table on stderr, if that is a terminal."""
    out = console(err=quiet)
    if out.is_terminal:
        with Live(console=out, auto_refresh=False, vertical_overflow="crop") as live:
            yield _Table(live)
    else:
        yield _Lines(None if quiet else out)


class _Table:
    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, moment: Moment, tasks: int, seconds: float) -> None:
        self._live.update(_drawn(moment, tasks, seconds), refresh=True)


class _Lines:
    def __init__(self, out: Console | None) -> None:
        self._out, self._said, self._at, self._lines = out, "", -_LINE_EVERY, 0

    def show(self, moment: Moment, tasks: int, seconds: float) -> None:
        said = "  ".join(f"{row.key} {row.running}/{row.limit}" for row in moment.rows)
        waiting = sum(one.status == "queued" for one in moment.workspaces)
        said += f"  waiting {waiting}  done {moment.ended}/{tasks}"
        over = moment.ended == tasks
        if self._out and said != self._said and (over or time.monotonic() - self._at >= _LINE_EVERY):
            self._said, self._at = said, time.monotonic()
            reasons = [row.why for row in moment.rows if row.why]
            why = f"  ({plain(reasons[self._lines % len(reasons)])})" if reasons else ""  # each in its turn
            self._lines += 1
            self._out.print(Text(f"{seconds:5.1f}s  {said}{why}"), soft_wrap=True)


def _drawn(moment: Moment, tasks: int, seconds: float) -> RenderableType:
    bar = Table.grid(padding=(0, 1))
    drained = ProgressBar(total=tasks, completed=moment.ended, width=32)
    bar.add_row(drained, f"{moment.ended} of {tasks} done", f"{seconds:.1f} s")
    return Group(Text(), _pools(moment.rows), Text(), _hosts(moment.hosts), Text(), bar)


def _pools(rows: tuple[KeyRow, ...]) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), expand=True)
    grid.add_column("limit", no_wrap=True)
    grid.add_column("running", no_wrap=True, min_width=8)
    for name in ("waiting", "done"):
        grid.add_column(name, justify="right")
    grid.add_column("the next one waits because", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        name = f"  {model_of(row.key)}" if model_of(row.key) else row.key
        full = "green" if row.running == row.limit else ""
        running = Text(_blocks(row.running, row.limit) + f" {row.running}/{row.limit}", full)
        grid.add_row(name, running, str(row.waiting), str(row.ended), Text(plain(row.why), "dim"))
    return grid


def _hosts(hosts: tuple[HostView, ...]) -> RenderableType:
    if not hosts:
        return Text("the workers are starting", "dim")
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for host in hosts:
        held = ", ".join(sorted(name.removeprefix("demo/") for name in host.held))
        used = f"{_blocks(len(host.held), host.slots)} {len(host.held)}/{host.slots}"
        grid.add_row(f"host {host.host}", used, Text(held, "dim"))
    return grid


def _blocks(used: int, limit: int) -> str:
    return "■" * min(used, 12) + "□" * max(0, min(limit, 12) - used)
