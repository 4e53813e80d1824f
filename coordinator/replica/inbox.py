"""Inbox: reports that somebody wanted kept until they are read (`XADD {dispatch}:inbox * json '...'`)."""

import logging
from typing import Final

from coordinator.errors import StoreUnusable
from coordinator.replica.floods import Lines
from coordinator.replica.reports import Reports
from coordinator.steady import steadily
from coordinator.store import Store

log = logging.getLogger(__name__)
OLDEST: Final = "0-0"
AT_ONCE: Final = 64  # entries
_AFTER_ALL: Final = 10**15  # more than the facts of a millisecond
MOST: Final = 100_000  # entries that wait; the oldest of more are lost, else whoever may add fills the server's memory


class Inbox:
    """Reads the durable inbox. Replicas may read an entry twice; acting on it twice changes nothing.

    A notification is known by its entry for a minute: one that is read again later, after a crash, is told again.
    One that can not be acted on, since a key it needs is damaged, is kept and passed over, and tried again from the
    oldest whenever nothing newer comes.
    """

    def __init__(self, store: Store, reports: Reports, most: int = MOST) -> None:
        self._store, self._reports, self._most = store, reports, most
        self._after, self._said, self._unfit = OLDEST, "", Lines()

    async def run(self) -> None:
        """Read for ever."""
        await steadily("inbox", self._read)

    async def _read(self) -> None:
        entries = await self._store.inbox(self._after, AT_ONCE)
        if not entries:
            self._after = OLDEST
        done: list[str] = []
        try:
            for entry in entries:
                self._after = entry.id
                try:
                    await self._reports.act(entry.json, _date(entry.id), entry=entry.id)
                    done.append(entry.id)
                except StoreUnusable as error:
                    if str(error) != self._said and self._unfit.due():
                        log.warning("kept in the inbox, entry=%s: %s", entry.id, error)
                    self._said = str(error)
        finally:
            await self._store.clear_inbox(done)  # after they were acted on: a crash between repeats them
        if len(entries) == AT_ONCE and (lost := await self._store.shorten_inbox(self._most)):
            log.warning("lost entries=%d: more than %d waited in the inbox, the oldest went", lost, self._most)


def _date(entry: str) -> str:
    """A fact's id that says when an entry was written: before all facts of its millisecond.

    Within one, nothing tells which of two streams was written first; and no run has ended in the one it was granted in.
    """
    return f"{max(int(entry.partition('-')[0]) - 1, 0)}-{_AFTER_ALL}"
