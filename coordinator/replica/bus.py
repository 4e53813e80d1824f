"""Bus: hears reports and pokes as they are said. Pub/sub is a hint: after every gap the keys are looked at again."""

import logging
from contextlib import aclosing

from coordinator.errors import StoreUnusable
from coordinator.replica.reports import Reports
from coordinator.replica.sweeper import Sweeper
from coordinator.steady import steadily
from coordinator.store import Store

log = logging.getLogger(__name__)


class Bus:
    """Every message of this namespace, dated by the last fact heard before it."""

    def __init__(self, store: Store, reports: Reports, sweeper: Sweeper) -> None:
        self._store, self._reports, self._sweeper = store, reports, sweeper
        self._as_of = "0-0"

    async def run(self) -> None:
        """Hear for ever."""
        await steadily("bus", self._hear)

    async def _hear(self) -> None:
        async with aclosing(self._store.hear("bus")) as messages:
            async for message in messages:
                if not message.channel:  # subscribed, or subscribed again: what was said meanwhile is unknown
                    self._as_of = await self._store.latest()
                    self._sweeper.poke()
                else:
                    await self._act(message.text)

    async def _act(self, text: str) -> None:
        try:
            self._as_of = await self._reports.act(text, self._as_of) or self._as_of
        except StoreUnusable as error:  # a damaged key that this message needs: the next may need another
            log.warning("not acted on: %s", error)
