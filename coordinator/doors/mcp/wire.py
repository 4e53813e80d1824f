"""Bytes in, lines out: a line of any length costs no more than LONGEST, and a client that leaves ends it quietly."""

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

LONGEST: Final = 4 << 20  # bytes of one message
_BLOCK: Final = 65536


class Lines:
    """Cuts what comes into lines; None stands for one that was too long."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._held, self._over = bytearray(), False

    def feed(self, block: bytes) -> Iterator[bytes | None]:
        """The lines that end in this block."""
        *ended, rest = block.split(b"\n")
        for piece in ended:
            self._hold(piece)
            yield self._whole()
        self._hold(rest)

    def rest(self) -> bytes | None:
        """What came after the last line's end."""
        return self._whole()

    def _hold(self, piece: bytes) -> None:
        self._over = self._over or len(self._held) + len(piece) > self._longest
        if self._over:
            self._held.clear()
        else:
            self._held += piece

    def _whole(self) -> bytes | None:
        whole = None if self._over else bytes(self._held)
        self._held, self._over = bytearray(), False
        return whole


class Out:
    """Writes one message a line. `gone` is set when nobody reads any more; then nothing is written."""

    def __init__(self, fd: int) -> None:
        self._file = os.fdopen(fd, "wb")
        self.gone = asyncio.Event()

    def send(self, message: dict[str, Any]) -> None:
        """Write it whole: nothing else writes between, for all of this process write in one loop."""
        if self.gone.is_set():
            return
        try:
            self._file.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
            self._file.flush()
        except OSError:
            self.gone.set()

    def close(self) -> None:
        """Let go of what could not be written."""
        with contextlib.suppress(OSError):
            self._file.close()


async def blocks(fd: int, gone: asyncio.Event) -> AsyncIterator[bytes]:
    """What is read, whatever kind of file it is, until its end or until nobody reads our answers."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue(1)

    def read() -> None:
        with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: the loop has ended meanwhile
            while block := os.read(fd, _BLOCK):
                asyncio.run_coroutine_threadsafe(queue.put(block), loop).result()
        with contextlib.suppress(RuntimeError):
            asyncio.run_coroutine_threadsafe(queue.put(b""), loop)

    # A daemon: a thread in the middle of a read can not be ended, and must not keep the process.
    threading.Thread(target=read, name="stdin", daemon=True).start()
    left = asyncio.create_task(gone.wait())
    try:
        while True:
            coming = asyncio.create_task(queue.get())
            await asyncio.wait((coming, left), return_when=asyncio.FIRST_COMPLETED)
            if not coming.done() or not (block := coming.result()):
                coming.cancel()
                return
            yield block
    finally:
        left.cancel()
