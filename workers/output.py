"""The log of a run as its guard sees it: the agent writes to it, and it is kept within a size."""

import os
import stat
import time
from pathlib import Path
from typing import Final

_NEWEST: Final = 1 << 20  # bytes that are kept of the end, at most
_LOOKS, _MOMENT_S = 20, 0.002  # for a moment in which nobody writes: what comes during the cut would be lost


class Output:
    """An open log. Whoever writes does so at its end, so it may be made shorter meanwhile."""

    def __init__(self, path: Path) -> None:
        """Opens or makes it; OSError says why not."""
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        self._left_out = 0

    def written(self) -> int:
        """Bytes that were ever written to it; 0 for a pipe or a device that took its place."""
        found = os.fstat(self._file)
        return found.st_size + self._left_out if stat.S_ISREG(found.st_mode) else 0

    def size(self) -> int:
        """Bytes that it has now."""
        return self.written() - self._left_out

    def cut(self, most: int) -> None:
        """Leave out its middle, and say so there: the first half of `most` stays, and the newest that was written.

        While somebody writes on and on nothing is done, until it is twice as long: then what is written in the very
        moment of the cut is lost, and not counted.
        """
        head, tail = most // 2, min(_NEWEST, most // 4)
        for _ in range(_LOOKS):
            size = self.size()
            newest = os.pread(self._file, tail, max(head, size - tail))
            time.sleep(_MOMENT_S)
            if self.size() == size:
                break
        else:
            if size < 2 * most:
                return
        newest = newest[newest.find(b"\n") + 1 :]
        os.ftruncate(self._file, head)
        self._left_out += size - head - len(newest)
        said = f"\n[dispatch: {self._left_out} bytes are left out here: this log may have {most}]\n".encode()
        self._left_out -= len(said)
        os.write(self._file, said + newest)
