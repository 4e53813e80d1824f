"""Faults: entries of keys that disagree with the records, counted in a walk that goes on with every sweep."""

import logging
import time
from typing import Final

from coordinator.operations import Faults as Look
from coordinator.operations.faults import MOST_KEYS, Fault
from coordinator.store import Store

log = logging.getLogger(__name__)
PAUSE: Final = 1.0  # seconds between two parts, however often there is a sweep
STEPS: Final = 4  # questions a part
_NAMED: Final = 3  # faults in a line of the log
_MOST: Final = 1000  # that are told apart; more are as bad


class Faults:
    """One of these is in every replica. Each question costs the server one or two ms, and it is free between them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: list[str] = []
        self._cursor: str | None = None
        self._scan = 0
        self._found: dict[tuple[str, str | None], Fault] = {}
        self._before: frozenset[tuple[str, str | None]] = frozenset()
        self._next = 0.0

    async def part(self) -> int | None:
        """Go some steps on, unless that was just now. At the end of a walk: how many were found."""
        if time.monotonic() < self._next:
            return None
        self._next = time.monotonic() + PAUSE
        for _ in range(STEPS):
            if await self._step():
                return self._end()
        return None

    async def _step(self) -> bool:
        """Whether it was the last of a walk."""
        if not self._keys:
            self._scan, self._keys = await self._store.some_names(self._scan)
        if self._keys:
            told = await self._store.run(Look(keys=self._keys[:MOST_KEYS], cursor=self._cursor))
            self._cursor = told.cursor
            if told.cursor is None:
                del self._keys[:MOST_KEYS]
            if not told.settling:  # what a host has not told of yet only looks lost
                for one in told.found[: _MOST - len(self._found)]:
                    self._found[one.key, one.workspace] = one
        return not self._keys and not self._scan

    def _end(self) -> int:
        found, self._found = self._found, {}
        names = frozenset(found)
        if names != self._before:
            some = "; ".join(f"{one.key} {one.workspace or ''}: {one.text}" for one in list(found.values())[:_NAMED])
            if found:
                log.warning("found faults=%d (coordinator doctor names them): %s", len(found), some)
            else:
                log.info("found no fault any more")
        self._before = names
        return len(found)
