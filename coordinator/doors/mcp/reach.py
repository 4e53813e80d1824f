"""A session for a long life: the server may come later than its client, go, and come back elsewhere."""

import asyncio
import os
from typing import Self

from coordinator.config.settings import Settings
from coordinator.doors.session import Session, address
from coordinator.store import Store


class Reach:
    """Finds the server when it is needed. Raises ConfigError when the environment is wrong."""

    def __init__(self, root: str | None) -> None:
        self._settings, self._root = Settings.from_environ(os.environ), root
        self._finding = asyncio.Lock()
        self._kept: tuple[str, Session] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._kept:
            await self._kept[1].close()

    async def session(self) -> Session:
        """The session on the server as it is found now; StoreUnavailable when there is none."""
        async with self._finding:
            # Looking for an embedded server may wait for one that is just starting.
            url, line = await asyncio.to_thread(address, self._settings, self._root)
            if self._kept and self._kept[0] == url:
                return self._kept[1]
            left, self._kept = self._kept, (url, Session(self._settings, Store.connect(url, self._settings.root), line))
        if left:
            await left[1].close()
        return self._kept[1]
