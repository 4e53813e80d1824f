"""A way to a server on which bytes can get lost, or be late, while every connection stays open."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Self


class Swallowing:
    """Use as a context, in the test's own loop. It listens at `url` and passes on to the unix socket of a server."""

    def __init__(self, server: str) -> None:
        self._path = server.removeprefix("unix://")
        self._lost: set[object] = set()
        self._open: set[asyncio.Task[None]] = set()
        self._all_lost = False
        self._late, self._at_last = b"", asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    def swallow(self) -> None:
        """From now on nothing arrives, in either direction, on connections old and new."""
        self._all_lost = True

    def heal(self) -> None:
        """New connections work; what was open stays open and silent for ever."""
        self._lost |= self._open
        self._all_lost = False

    @contextlib.contextmanager
    def late(self, word: bytes) -> Iterator[None]:
        """Meanwhile no block of bytes with this word in it arrives, nor what comes after it on its connection."""
        self._late = word
        try:
            yield
        finally:
            self._at_last.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_unix_connection(self._path)
        for source, sink in ((reader, ours), (theirs, writer)):
            task = asyncio.create_task(self._pass_on(source, sink))
            self._open.add(task)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while block := await source.read(65536):
                if self._late and self._late in block:
                    await self._at_last.wait()
                if not self._all_lost and asyncio.current_task() not in self._lost:
                    sink.write(block)
                    await sink.drain()
        except OSError:
            return
        finally:
            sink.close()
            with contextlib.suppress(OSError):
                await sink.wait_closed()
