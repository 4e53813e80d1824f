"""Asking for work: alone, or in the same call that reports an ending. Wakes by poke; polls only as a safety net."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from coordinator.errors import StoreUnavailable
from coordinator.models import Grant
from coordinator.operations import Claim
from coordinator.operations._operation import Operation
from coordinator.operations.claim import Asking, Claimed
from coordinator.steady import insist
from coordinator.store import Store
from workers.clock import boot_ms

SAFETY_NET: Final = 30.0  # seconds between looks at the queue that no poke asked for
_SHORT_WAIT: Final = 2.0  # seconds between looks while memory or disk is short
_LONGEST_ANSWER: Final = 5.0  # seconds


class Claims:
    """One host's claims. `room` says how many fit and whether the host is short; `begin` gets each grant."""

    def __init__(
        self,
        store: Store,
        host: str,
        incarnation: str,
        room: Callable[[], tuple[int, bool]],
        begin: Callable[[Grant, int], None],
    ) -> None:
        self._store, self._host, self._incarnation = store, host, incarnation
        self._room, self._begin = room, begin
        self._seq = 0
        self._asking = asyncio.Lock()
        self._poked = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Ask soon. Many pokes while one is pending count as one."""
        self._poked.set()

    async def work(self) -> None:
        """Wait for a reason to look, and look once."""
        self._look_within(SAFETY_NET)
        await self._poked.wait()
        self._poked.clear()
        self._forget_timer()
        await self.ask(lambda asking: Claim(**asking.model_dump()) if asking else None)

    async def ask(self, make: Callable[[Asking | None], Operation[Any] | None]) -> Any:
        """Send the question that `make` makes of a claim (None while there is no room), until it is answered.

        One at a time, since an older seq is given nothing. One that the server refuses lets others go before it is sent
        again: a full server refuses claims and takes endings, and a damaged key concerns what touches it alone.
        """
        return await insist("ask", lambda: self._ask(make))

    async def answered(self) -> None:
        """Return when no question is under way, or the server has not answered for some seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_ANSWER), self._asking:
                return

    async def _ask(self, make: Callable[[Asking | None], Operation[Any] | None]) -> Any:
        async with self._asking:
            room, short = self._room()
            self._seq += 1
            asking = Asking(host=self._host, incarnation=self._incarnation, seq=self._seq, count=room) if room else None
            if short:
                self._look_within(_SHORT_WAIT)
            question = make(asking)
            if question is None:
                return None
            asked_ms = boot_ms()  # before the first try: a repeated answer counts from then
            reply: Claimed = await insist("ask", lambda: self._store.run(question), StoreUnavailable)
            for grant in reply.grants:
                self._begin(grant, asked_ms)
        if reply.more:
            self._poked.set()
        if reply.retry_in is not None:
            self._look_within(reply.retry_in / 1000 + 0.001)
        return reply

    def _look_within(self, seconds: float) -> None:
        """Look no later than that, also where the loop waits for a reason already."""
        loop = asyncio.get_running_loop()
        if self._timer and self._timer.when() <= loop.time() + seconds:
            return
        self._forget_timer()
        self._timer = loop.call_later(seconds, self.look)

    def _forget_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None
