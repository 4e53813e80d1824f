"""Inbox: reports that somebody wanted kept until they are read (`XADD {dispatch}:inbox * json '...'`)."""

import logging
from typing import Final

from coordinator.errors import StoreUnusable
from coordinator.replica.reports import Reports
from coordinator.steady import steadily
from coordinator.store import Store

log = logging.getLogger(__name__)
OLDEST: Final = "0-0"


class Inbox:
    """Reads the durable inbox. Replicas may read an entry twice; acting on it twice changes nothing.

    A notification is known by its entry for a minute: one that is read again later, after a crash, is told again.
    One that can not be acted on, since a key it needs is damaged, is kept and passed over, and tried again from the
    oldest whenever nothing newer comes.
    """

    def __init__(self, store: Store, reports: Reports) -> None:
        self._store, self._reports = store, reports
        self._after, self._said = OLDEST, ""

    async def run(self) -> None:
        """Read for ever."""
        await steadily("inbox", self._read)

    async def _read(self) -> None:
        entries = await self._store.inbox(self._after)
        if not entries:
            self._after = OLDEST
        for entry in entries:
            self._after = entry.id
            try:
                await self._reports.act(entry.json, entry.id, entry=entry.id)
                await self._store.clear_inbox([entry.id])  # after it was acted on: a crash between repeats it
            except StoreUnusable as error:
                if str(error) != self._said:
                    log.warning("kept in the inbox, entry=%s: %s", entry.id, error)
                    self._said = str(error)
