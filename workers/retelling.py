"""What this host was granted, told again to a server that may have forgotten it: it came back empty, or behind."""

import logging
from collections import deque
from collections.abc import Collection
from typing import Final

from coordinator.models import Grant
from coordinator.operations import Restore
from coordinator.operations.complete import Ending, HoldersEnding
from coordinator.operations.renew import Renewed
from coordinator.operations.restore import HeldRun, Restored
from coordinator.steady import insist
from coordinator.store import Store
from workers.clock import boot_ms
from workers.held import Held, granted

log = logging.getLogger(__name__)
_MOST: Final = 16  # runs a question: the server does nothing else meanwhile


class Retelling:
    """Knows in which epoch of the server the runs of this host were last told, and how those that ended lately did."""

    def __init__(self, store: Store, host: str, incarnation: str, machine: str) -> None:
        self._store, self._host, self._incarnation, self._machine = store, host, incarnation, machine
        self._past: deque[tuple[int, HeldRun]] = deque()
        self._ttl_ms = 0
        self.epoch = 0  # none

    async def after(self, beat: Renewed, held: Collection[Held]) -> bool:
        """Tell again what the answer to a beat shows to be forgotten. Whether the next beat shall say so at once."""
        self._ttl_ms = beat.ttl
        if beat.epoch == self.epoch and not beat.unknown:
            return False
        self._forget()
        told = {run.workspace: run for run in held}
        for run in held:
            if run.grant is None and run.workspace in beat.unknown:  # nothing says what it was granted as
                run.end("lost")
        runs = [said for run in held if (said := run.told())] + [said for _, said in self._past]
        runs.sort(key=lambda said: said.token)
        for start in range(0, len(runs), _MOST):
            batch, asked_ms = runs[start : start + _MOST], boot_ms()
            reply = await self._store.run(self._question(batch))
            if not isinstance(reply, Restored):
                return True
            for said in batch:
                mine = told.get(said.workspace)
                if mine and mine.token == said.token and not said.ending:
                    mine.renewed(asked_ms + beat.ttl, lost=said.workspace in reply.lost)
            if reply.count:
                log.warning("restored host=%s runs=%d: the server had forgotten them", self._host, reply.count)
        self.epoch = beat.epoch or 0
        return True

    async def ending(self, grant: Grant | None, told: Ending, outcome: str) -> None:
        """A run has ended and was reported. Where the server knew nothing of it, it is told what it was granted as."""
        if grant is None:
            return
        ending = HoldersEnding.model_validate(told.model_dump(exclude_none=True))
        said = granted(grant, ending=ending)
        if outcome in ("unknown", "stale"):  # stale also where the workspace was granted anew: then nothing changes
            await insist("restore", lambda: self._store.run(self._question([said])))
        self._past.append((boot_ms(), said))
        self._forget()

    def _question(self, runs: Collection[HeldRun]) -> Restore:
        return Restore(host=self._host, incarnation=self._incarnation, machine=self._machine, runs=list(runs))

    def _forget(self) -> None:
        """What ended longer ago than a lease lasts was known to every copy of the server that may still come."""
        while self._past and self._past[0][0] < boot_ms() - self._ttl_ms:
            self._past.popleft()
