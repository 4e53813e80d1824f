"""One run that this host holds: from its grant until its ending is recorded."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar, cast

from coordinator.errors import GuardError, WorkerError
from coordinator.models import Grant, Workspace
from coordinator.models import Held as HeldLease
from coordinator.operations.complete import HoldersEnding
from coordinator.operations.restore import HeldRun
from workers.guarded import Guard
from workers.run import Order

log = logging.getLogger(__name__)
T = TypeVar("T")
READY_WITHIN: Final = 1800.0  # seconds for a workspace to be made ready, a clone of its source included


class Held:
    """A lease, and once the agent was started its guard. `over`: the agent has ended, its ending is on the way."""

    def __init__(self, workspace: str, token: int, deadline_ms: int) -> None:
        self.workspace, self.token, self.deadline_ms = workspace, token, deadline_ms
        self.guard: Guard | None = None
        self.grant: Grant | None = None
        self.order: Order | None = None
        self.over = False
        self._ordered = asyncio.Event()

    @classmethod
    def of(cls, grant: Grant, asked_ms: int) -> "Held":
        """A fresh grant; the lease is counted from before the question was sent (boot clock)."""
        held = cls(grant.workspace, grant.token, asked_ms + grant.ttl)
        held.grant = grant
        return held

    @classmethod
    def adopted(cls, guard: Guard) -> "Held":
        """A run that an earlier worker of this host started."""
        held = cls(guard.workspace, guard.token, 0)
        held.guard, held.grant = guard, guard.grant
        return held

    def lease(self) -> HeldLease:
        """What a beat says of it."""
        pid = 0
        if self.guard and not self.over:
            with contextlib.suppress(GuardError):
                pid = self.guard.pid
        return HeldLease(workspace=self.workspace, token=self.token, pid=pid or None)

    def learn(self, record: Workspace) -> Grant | None:
        """What the registry still knows of it, where nothing here says what it was granted as; None: nothing new."""
        if self.grant or record.token != self.token:
            return None
        with contextlib.suppress(ValueError):
            said = record.model_dump(include=set(Grant.model_fields), exclude_none=True)
            self.grant = Grant.model_validate(said | {"ttl": 0})
        return self.grant

    def told(self, ending: HoldersEnding | None = None) -> HeldRun | None:
        """What it was granted as, for a server that has forgotten it; None where nothing here says so."""
        if not self.grant:
            return None
        started_at = None
        if self.guard:
            with contextlib.suppress(GuardError):
                started_at = self.guard.started_at
        said = self.grant.model_dump(exclude={"ttl", "answer"}, exclude_none=True)
        try:
            return HeldRun(
                **said, started_at=started_at, pid=self.lease().pid, stilled=self.stilled or None, ending=ending
            )
        except ValueError as error:
            log.warning("can not be told again workspace=%s: %s", self.workspace, error)
            return None

    @property
    def stilled(self) -> bool:
        """Whether its lease was over, or nearly so, and its agent stands still."""
        if self.guard:
            with contextlib.suppress(GuardError):
                return self.guard.state() == "stilled"
        return False

    @property
    def lives(self) -> bool:
        """Whether something of it runs, or may be about to."""
        if not self.over and self.guard:
            with contextlib.suppress(GuardError):
                return self.guard.state() != "ended"
        return not self.over and not self.guard

    def renewed(self, deadline_ms: int, *, lost: bool, goes_on: bool) -> None:
        """The server was told of it again: its lease lasts until then, or another run has its workspace.

        Where it is stilled it stays so unless it `goes_on`.
        """
        if lost:
            self.end("lost")
        elif goes_on or not self.stilled:
            self.extend(deadline_ms)

    def extend(self, deadline_ms: int) -> None:
        """The lease was renewed until a moment of the boot clock."""
        self.deadline_ms = deadline_ms
        if self.guard and not self.over and not self.order:
            with contextlib.suppress(GuardError):  # its slip is gone: it has ended, and its ending is on the way
                self.guard.extend(deadline_ms)

    async def unless_ended(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives; WorkerError when the run is ordered to end meanwhile, or it takes too long."""
        tasks = [asyncio.ensure_future(work), asyncio.ensure_future(self._ordered.wait())]
        try:
            await asyncio.wait(tasks, timeout=READY_WITHIN, return_when=asyncio.FIRST_COMPLETED)
            if self.order:
                raise WorkerError(f"{self.order} before it started")
            if not tasks[0].done():
                raise WorkerError(f"its checkout took more than {READY_WITHIN / 60:.0f} minutes")
            return cast("T", tasks[0].result())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def under(self, guard: Guard) -> None:
        """Its agent was started; what was ordered meanwhile holds."""
        self.guard = guard
        if self.order:
            guard.end(self.order)

    def end(self, order: Order, grace_ms: int | None = None) -> None:
        """Have the agent ended, or keep it from starting."""
        if self.order and self.order != order:
            return
        self.order = order
        self._ordered.set()
        if self.guard and not self.over:
            with contextlib.suppress(GuardError):
                self.guard.end(order, grace_ms)

    def enforce(self) -> None:
        """Act in the place of a guard that stands still. Blocks for some ms."""
        if self.guard and not self.over:
            with contextlib.suppress(GuardError):
                self.guard.enforce()


def newest(runs: Iterable[Held]) -> dict[str, Held]:
    """Of each workspace the newest run: what is left of an older one is being ended."""
    return {held.workspace: held for held in sorted(runs, key=lambda held: held.token)}
