"""What this host was granted, told again to a server that may have forgotten it: it came back empty, or behind."""

import logging
from collections import deque
from collections.abc import Collection, Sequence
from typing import Final

from coordinator.errors import InvalidQuestion, StoreUnusable
from coordinator.operations import Restore
from coordinator.operations.complete import Ending, HoldersEnding
from coordinator.operations.renew import Renewed
from coordinator.operations.restore import HeldRun, Restored
from coordinator.steady import insist
from coordinator.store import Store
from workers.batches import batches
from workers.clock import boot_ms
from workers.held import Held

log = logging.getLogger(__name__)
_MOST: Final = 16  # runs a question: the server does nothing else meanwhile
_MOST_TEXT: Final = 1 << 20  # characters of tasks a question, where it is of more than one run
_MOST_PAST: Final = 2000  # endings that are kept, whatever the lease; with them this many characters of tasks
_MOST_PAST_TEXT: Final = 32 << 20


class Retelling:
    """Knows in which epoch of the server the runs of this host were last told, and how those that ended lately did."""

    def __init__(self, store: Store, host: str, incarnation: str, machine: str) -> None:
        self._store, self._host, self._incarnation, self._machine = store, host, incarnation, machine
        self._past: deque[tuple[int, HeldRun]] = deque()
        self._past_text = 0
        self._ttl_ms = 0
        self.epoch = 0  # none

    async def after(self, beat: Renewed, held: Collection[Held]) -> bool:
        """Tell again what the answer to a beat shows to be forgotten. Whether the next beat shall say so at once.

        `held` is what is held now, not what the beat said: a grant of the server's last moment came meanwhile.
        """
        self._ttl_ms = beat.ttl
        epoch = beat.epoch or 0
        new = epoch != self.epoch
        if not new and not beat.unknown:
            return False
        self._forget()
        told = {run.token: run for run in held if run.order != "lost" and (new or run.workspace in beat.unknown)}
        runs = []
        for run in told.values():
            if said := run.told():
                runs.append(said)
            elif run.workspace in beat.unknown:  # nothing says what it was granted as
                run.end("lost")
        if new:
            runs += [said for _, said in self._past]
        all_told = True
        for batch in batches(sorted(runs, key=lambda said: said.token), _MOST, _MOST_TEXT, _text):
            heard = await self._tell(batch, told)
            if heard is None:
                return True
            all_told = all_told and heard
        if all_told:
            self.epoch = epoch
        return new and all_told

    async def _tell(self, batch: Sequence[HeldRun], told: dict[int, Held]) -> bool | None:
        """Whether the server took all of it; None where it does not know this host. One that it can not take, of a
        damaged key, does not keep the others from it; nor is the epoch told then: the server waits for that lease."""
        asked_ms = boot_ms()
        try:
            reply = await self._store.run(self._question(batch))
        except (InvalidQuestion, StoreUnusable) as error:
            if len(batch) == 1:
                log.warning("not told again workspace=%s: %s", batch[0].workspace, error)
                return False
            heard = [await self._tell([said], told) for said in batch]
            return None if None in heard else all(heard)
        if not isinstance(reply, Restored):
            return None
        for said in batch:
            mine = told.get(said.token)
            if mine and not said.ending:
                mine.renewed(asked_ms + reply.ttl, lost=said.workspace in reply.lost, goes_on=False)
        if reply.count:
            log.warning("restored host=%s runs=%d: the server had forgotten them", self._host, reply.count)
        return True

    async def ending(self, held: Held, told: Ending, outcome: str) -> bool:
        """A run has ended and was reported. Where the server knew nothing of it, it is told what it was granted as.

        False, and it is to be told once more, where the server does not even know this host. What came too late, since
        another run had the workspace by then, is not kept: a server that forgets that other run would count this one.
        """
        said = held.told(HoldersEnding.model_validate(told.model_dump(exclude_none=True)))
        if said is None or (told.verdict, told.status) == ("lost", "failed"):
            return True
        if outcome in ("unknown", "stale"):  # stale also where the workspace was granted anew: then nothing changes
            reply = await insist("restore", lambda: self._store.run(self._question([said])))
            if not isinstance(reply, Restored):
                return False
            if not reply.count:
                return True
        self._past.append((boot_ms(), said))
        self._past_text += _text(said)
        self._forget()
        return True

    def _question(self, runs: Collection[HeldRun]) -> Restore:
        return Restore(host=self._host, incarnation=self._incarnation, machine=self._machine, runs=list(runs))

    def _forget(self) -> None:
        """What ended longer ago than a lease lasts was known to every copy of the server that may still come."""
        while self._past and (
            self._past[0][0] < boot_ms() - self._ttl_ms
            or len(self._past) > _MOST_PAST
            or self._past_text > _MOST_PAST_TEXT
        ):
            self._past_text -= _text(self._past.popleft()[1])


def _text(said: HeldRun) -> int:
    return len(said.task or "")
