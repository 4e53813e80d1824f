"""A run under a guard, as the worker holds it.

All it knows is read from the slip, so one that was found is as good as one that was started.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from coordinator.errors import GuardError
from coordinator.models import Grant
from workers import orphans, processes
from workers.clock import boot_ms
from workers.processes import Identity
from workers.run import Exit, Order
from workers.short import SHORT
from workers.slip import Slip, State

GRANT = ".grant"  # beside the slip: what a server that forgot the run is told, also by the next worker
_POLL_S = 0.02
_SHORT_WAIT_S = 0.5
_PATIENCE_MS = 5000  # how late a guard may be with an ending before it is ended itself


class SlipGone(GuardError):
    """The slip of a run was removed, or something else has its place: its guard ends the run when it sees that."""


class SlipUnread(GuardError):
    """There are no descriptors or no memory to read a slip with: nothing is known of its run, which may go on."""


class Guard:
    """The guard of one run. Holds no file open between calls; every call may raise GuardError when the slip is gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.token = int(path.stem)
        self._ordered: Order | None = None
        with self._slip() as slip:
            born, self._guard = slip.birth(), orphans.guard_of(slip)
        if born and born.token != self.token:  # a copy: what is ordered there must not reach the run it is of
            born = self._guard = None
        self.workspace = born.workspace if born else ""
        self._kill_grace_ms = born.kill_grace_ms if born else 0
        self._park_max_ms = born.park_max_ms if born else 0

    @property
    def pid(self) -> int:
        """The agent's own process; 0 when none was started."""
        with self._slip() as slip:
            agent = slip.agent()
        return agent[0].pid if agent else 0

    @property
    def started_at(self) -> int | None:
        """When the agent started (epoch ms); None when none was started."""
        with self._slip() as slip:
            agent = slip.agent()
        return agent[1] if agent else None

    @property
    def grant(self) -> Grant | None:
        """What the run was granted as; None where that was not written down whole, or is of another run."""
        try:
            grant = Grant.model_validate_json(self.path.with_suffix(GRANT).read_bytes())
        except (OSError, ValueError):
            return None
        return grant if (grant.workspace, grant.token) == (self.workspace, self.token) else None

    def extend(self, deadline_ms: int) -> None:
        """Move the lease's end (boot clock); a stilled tree goes on at once."""
        with self._slip() as slip:
            slip.extend(deadline_ms)
            stilled = slip.state()[0] == "stilled"
        if stilled:  # a running one looks again by itself before it would act
            self._hint()

    def end(self, reason: Order, grace_ms: int | None = None) -> None:
        """Have the tree ended now: SIGINT, SIGTERM after half the grace, SIGKILL after the other half, and a sweep.

        The grace is the run's kill_grace unless given; 0 kills at once, and so does `lost`, whose workspace may be
        another's by now. A second order can only make it stricter. Returns before it is done: await `ended`.
        """
        self._ordered = reason
        grace_ms = self._kill_grace_ms if grace_ms is None else grace_ms
        with self._slip() as slip:
            before = slip.order()
            if not before or before[0] != reason or before[1] > grace_ms:  # what each beat repeats gives no more time
                slip.give_order(reason, grace_ms, boot_ms())
        self._hint()

    def state(self) -> State:
        """Whether the tree runs, is stilled, or nothing of it is left and `ended` returns at once or soon."""
        with self._slip() as slip:
            state = slip.state()[0]
        return state if self._guard and processes.alive(self._guard) else "ended"

    async def ended(self) -> Exit:
        """Wait until nothing of the tree is left, and say how it ended. May be awaited often, and cancelled.

        Where the guard itself was killed, or its slip is gone, its tree is killed first, in a thread.
        """
        if self._guard:
            await _gone(self._guard)
        while True:
            try:
                with self._slip() as slip:
                    known = slip.exit() if slip.state()[0] == "ended" else None
                if known is None:
                    known = await asyncio.to_thread(self._end_orphans)
                return known
            except SlipGone:  # nobody else can write down how it ended
                return await asyncio.to_thread(orphans.end_marked, self.path, self._ordered)
            except GuardError:
                await asyncio.sleep(_SHORT_WAIT_S)

    def enforce(self) -> bool:
        """Act for a guard that stands still itself; True when that was needed. For every beat; may block for some ms.

        Stills the tree when the guard should have, and ends the guard when it should long have ended the tree.
        """
        if not self._guard or not processes.alive(self._guard):
            return False
        now = boot_ms()
        with self._slip() as slip:
            (state, since), deadline, order = slip.state(), slip.deadline_ms(), slip.order()
            parked_out = state == "stilled" and now > since + self._park_max_ms + _PATIENCE_MS
            if parked_out and not order:
                slip.give_order("lost", 0, now)
            if parked_out or (order and now > order[2] + order[1] + _PATIENCE_MS):
                return self._send(signal.SIGKILL)  # `ended` then ends the tree, and says why
            if state != "running" or deadline is None or now < deadline - self._kill_grace_ms // 2:
                return False
            processes.still(lambda: orphans.tree_of(slip))
            slip.set_state("stilled", now)
        self._hint()
        return True

    def forget(self) -> None:
        """Remove the slip once its ending is reported; GuardError while the guard lives, or may. A second time does
        nothing."""
        if self._guard and processes.alive(self._guard):
            raise GuardError(f"the guard of token {self.token} still lives: await ended() before forget()")
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(GRANT).unlink(missing_ok=True)

    def _end_orphans(self) -> Exit:
        with self._slip() as slip:
            return orphans.end_orphans(slip)

    def _hint(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: int) -> bool:
        """Send the guard a signal; False too where there was nothing to do it with: it looks again by itself."""
        with contextlib.suppress(OSError):
            return self._guard is not None and processes.send(self._guard, number)
        return False

    @contextlib.contextmanager
    def _slip(self) -> Iterator[Slip]:
        """The slip; GuardError also where it can not be read or written, so that a beat goes on with the other runs."""
        try:
            slip = Slip.open(self.path)
        except OSError as error:
            kind = SlipUnread if error.errno in SHORT else SlipGone
            raise kind(f"can not read the slip of token {self.path.stem}: {error}") from error
        try:
            with slip:
                yield slip
        except OSError as error:  # a full disk, a pipe or a device in its place
            short = SlipUnread if error.errno in SHORT else GuardError
            raise short(f"can not use the slip of token {self.path.stem}: {error}") from error


async def guard_at(path: Path) -> Guard:
    """The guard whose slip lies there; waits while there are no descriptors or no memory to read it with: it runs."""
    while True:
        try:
            return Guard(path)
        except SlipUnread:
            await asyncio.sleep(_SHORT_WAIT_S)


async def _gone(process: Identity) -> None:
    """Wait until a process that need not be our child has ended."""
    descriptor = _descriptor(process)
    if descriptor is None:
        while processes.alive(process):  # noqa: ASYNC110  # no event tells of another's child here
            await asyncio.sleep(_POLL_S)
        return
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(descriptor, gone.set)
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _descriptor(process: Identity) -> int | None:
    """One that is readable as soon as this very process has ended; None where it has, or there is none to be had."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(process.pid)
            with contextlib.ExitStack() as unless_it_lives:
                unless_it_lives.callback(os.close, descriptor)
                if processes.lives(process):  # asked after the descriptor was opened, so it is this process's
                    unless_it_lives.pop_all()
                    return descriptor
    return None
