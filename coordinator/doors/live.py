"""One line on a terminal that is written over as things change; nothing at all where stderr is no terminal."""

from types import TracebackType
from typing import Self

from rich.cells import cell_len, set_cell_size

from coordinator.doors.printing import console, plain

_CLEAR = "\r\x1b[2K"


class LiveLine:
    """Use it with `with`; call `clear` before something else is printed."""

    def __init__(self) -> None:
        self._screen = console(err=True)
        self._shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def show(self, text: str) -> None:
        """Write over what was shown."""
        line = plain(text)
        room = self._screen.width - 1
        line = line if cell_len(line) <= room else set_cell_size(line, room)
        if self._screen.is_terminal and line != self._shown:
            self._write(_CLEAR + line)
            self._shown = line

    def clear(self) -> None:
        """Take the line away; the next `show` brings it back."""
        if self._shown:
            self._write(_CLEAR)
            self._shown = ""

    def _write(self, text: str) -> None:
        self._screen.file.write(text)
        self._screen.file.flush()
