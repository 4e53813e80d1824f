"""Inbox: reports that somebody wanted kept until they are read (`XADD {dispatch}:inbox * json '...'`)."""

from coordinator.replica.reports import Reports
from coordinator.steady import steadily
from coordinator.store import Store


class Inbox:
    """Reads the durable inbox. Replicas may read an entry twice; acting on it twice changes nothing.

    A notification is known by its entry for a minute: one that is read again later, after a crash, is told again.
    """

    def __init__(self, store: Store, reports: Reports) -> None:
        self._store, self._reports = store, reports

    async def run(self) -> None:
        """Read for ever."""
        await steadily("inbox", self._read)

    async def _read(self) -> None:
        for entry in await self._store.inbox():
            await self._reports.act(entry.json, entry.id, entry=entry.id)
            await self._store.clear_inbox([entry.id])  # after it was acted on: a crash between repeats it
