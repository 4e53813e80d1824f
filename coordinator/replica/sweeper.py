"""Sweeper: does what time has made due, on a poke, on a tick, and exactly when the next thing falls due."""

import asyncio
import contextlib
import logging
from typing import Final

from coordinator.operations import Reap
from coordinator.replica.faults import Faults
from coordinator.replica.memory import Memory
from coordinator.steady import steadily
from coordinator.store import Store

log = logging.getLogger(__name__)
TICK: Final = 30.0  # seconds


class Sweeper:
    """One of these runs in every replica; any number may sweep at once, each thing is done once."""

    def __init__(self, store: Store, memory: Memory) -> None:
        self._store, self._memory, self._faults = store, memory, Faults(store)
        self._count: int | None = None  # of faults, as it is to be told
        self._poked = asyncio.Event()

    def poke(self) -> None:
        """Sweep soon. Many pokes while one is pending count as one."""
        self._poked.set()

    async def run(self) -> None:
        """Sweep for ever."""
        await steadily("sweeper", self._sweep)

    async def _sweep(self) -> None:
        self._poked.clear()
        reaped = await self._store.run(Reap(faults=self._count))
        self._count = None
        for lost in reaped.lost:
            log.warning("lost workspace=%s host=%s now=%s", lost.workspace, lost.host, lost.status)
        for key in reaped.opened:
            log.info("opened key=%s", key)
        if reaped.new:
            self._memory.look()
        if reaped.more:
            return
        if (count := await self._faults.part()) is not None:
            self._count = count
        due = TICK if reaped.next_due is None else min(reaped.next_due / 1000, TICK)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(due):
                await self._poked.wait()
