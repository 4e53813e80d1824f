"""Bus: hears reports and pokes as they are said. Pub/sub is a hint: after every gap the keys are looked at again."""

import json
import logging
from collections import deque
from contextlib import aclosing
from typing import Final
from uuid import uuid4

from coordinator.errors import StoreUnusable
from coordinator.messages import Fact, parse
from coordinator.replica.floods import Lines
from coordinator.replica.reports import Reports
from coordinator.steady import steadily
from coordinator.store import Store

log = logging.getLogger(__name__)
_MOST_HELD: Final = 10_000  # messages; it lasts one round trip, and after a gap some are lost anyway


def _when(seq: str) -> tuple[int, int]:
    ms, _, number = seq.partition("-")
    return int(ms), int(number or 0)


class Bus:
    """Every message of this namespace, dated by the last fact heard before it."""

    def __init__(self, store: Store, reports: Reports) -> None:
        self._store, self._reports = store, reports
        self._as_of, self._mark = "0-0", ""
        self._held: deque[str] = deque(maxlen=_MOST_HELD)  # heard since the subscription, not yet dated
        self._unfit = Lines()

    async def run(self) -> None:
        """Hear for ever."""
        await steadily("bus", self._hear)

    async def _hear(self) -> None:
        async with aclosing(self._store.hear("bus")) as messages:
            async for message in messages:
                if not message.channel:
                    await self._subscribed()
                elif not self._mark:
                    await self.hear(message.text)
                else:
                    await self._date(message.text)

    async def _subscribed(self) -> None:
        """What was said before is unknown. What is heard from now on may be older than the answer of `latest`: until a
        fact is heard, or this replica itself, it is held."""
        self._held.clear()
        self._mark = json.dumps({"type": "PokeQueue", "mark": uuid4().hex})
        self._as_of = await self._store.latest()
        await self._store.publish(self._mark)
        self._reports.after_a_gap()

    async def _date(self, text: str) -> None:
        """Act on what was held: before this fact there was another; before the mark none but those known."""
        fact = parse(text)
        self._held.append(text)
        if text != self._mark and not isinstance(fact, Fact):
            return
        if isinstance(fact, Fact):
            self._as_of = await self._store.latest(before=fact.seq)
        self._mark = ""
        while self._held:
            await self.hear(self._held.popleft())

    async def hear(self, text: str) -> None:
        """Act on one message."""
        try:
            seq = await self._reports.act(text, self._as_of)
            if seq and await self._is_next(seq):
                self._as_of = seq
        except StoreUnusable as error:  # a damaged key that this message needs: the next may need another
            if self._unfit.due():
                log.warning("not acted on: %s (count=%d)", error, self._unfit.count)

    async def _is_next(self, seq: str) -> bool:
        """Facts are heard in order. Where two are not, one is forged: the older, or that beyond the newest there is."""
        return _when(seq) > _when(self._as_of) or _when(self._as_of) > _when(await self._store.latest())
