"""The guard: the small parent of one agent process. It needs no worker to keep its promises.

- At `deadline - kill_grace` without a later deadline the whole tree is stilled; a later deadline lets it go on.
- A tree that was still for `park_max`, a lost lease, a time limit or an order ends it, and nothing of it is left.
- How it ended is on the slip before the guard exits, so the guard's own end tells the worker to look.

The slip is the truth. A SIGCONT is only a hint to look at it now: it harms nobody it reaches by mistake, and it wakes a
guard that somebody stopped. A hint that is lost costs one tick.
"""

import contextlib
import functools
import os
import signal
import time
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from workers import families, processes
from workers.bell import Bell, nothing
from workers.clock import awake_ms, boot_ms, epoch_ms
from workers.output import Output
from workers.processes import Identity, Process
from workers.run import Ended, Exit, Reason, Run
from workers.short import at_once
from workers.slip import MARK, Slip
from workers.spawn import adopt_orphans, spawn
from workers.watch import Watch

_TICK_MS = 1000  # also bounds how late a guard is after the machine slept, which its timer does not count
_LEFTOVERS_GRACE_MS = 400
_SHORT_WAIT_MS = 50  # between looks where nobody can look
_OTHERS_MS = 40  # all guards of a host may wake at once, and a look at every process costs each of them some ms
_Asking = Literal["INT", "TERM"]
_ASKED: Final[tuple[tuple[signal.Signals, _Asking], ...]] = ((signal.SIGINT, "INT"), (signal.SIGTERM, "TERM"))


class Wish(NamedTuple):
    """Why the tree is to end, and how long it may take to do so by itself."""

    reason: Reason
    grace_ms: int


class Guard:
    """Holds one agent process, from its start to the end of its whole tree."""

    def __init__(self, run: Run, slip: Slip, me: Identity, deadline_ms: int) -> None:
        self._run, self._slip, self._me, self._deadline_ms = run, slip, me, deadline_ms
        self._agent = 0
        self._watch: Watch | None = None
        self._status: int | None = None
        self._alone = self._terminated = False
        self._error = ""
        self._started_at = self._ended_at = epoch_ms()
        self._time_left_ms = run.timeout_ms
        self._adopts = adopt_orphans()
        self._bell = Bell({signal.SIGCHLD: nothing, signal.SIGCONT: nothing, signal.SIGTERM: self._terminate})

    def start(self) -> None:
        """Start the agent; when that fails the reason is kept for the ending."""
        try:
            output = Output(self._run.log)
            self._agent = spawn(self._run, {MARK: str(self._slip.path)})
        except (OSError, ValueError) as error:
            self._error = f"can not start {self._run.argv[0]}: {error}"
            return
        self._watch = Watch(self._run, output)
        self._started_at = epoch_ms()
        born = at_once(lambda: processes.look(self._agent))  # not yet collected: it is there even when it has ended
        self._slip.set_agent(Identity(self._agent, born.birth if born else 0), self._started_at)

    def stand(self) -> None:
        """Guard until nothing of the tree is left, and write down how it ended."""
        wish = self._hold() if self._agent else Wish("start_failed", 0)
        receipt: tuple[Ended, ...] = ()
        if self._agent and (wish.reason != "exited" or self._leftovers()):
            if wish.reason == "exited":  # known already, should this guard not live to see the leftovers end
                self._written(lambda: self._slip.set_exit(self._ending("exited")))
            receipt = self._end(wish)
            self._collect()  # what died since the last look: its processor time counts too
        ending = self._ending(wish.reason, receipt)
        for write in (lambda: self._slip.set_exit(ending), lambda: self._slip.set_state("ended", boot_ms())):
            while not self._written(write):
                pass

    def _hold(self) -> Wish:
        """Let the tree run while its lease holds; says why that ended."""
        while True:
            self._collect()
            if self._status is not None:
                return Wish("exited", _LEFTOVERS_GRACE_MS)
            if wish := self._wish():
                return wish
            now = boot_ms()
            still_at = self._still_at()
            state, since = self._slip.state()
            if state == "stilled":
                if now < still_at:
                    self._go_on(now)
                elif now >= since + self._run.park_max_ms:
                    return Wish("lost", 0)
                else:
                    self._wait(since + self._run.park_max_ms - now)
            elif now >= still_at:
                self._strike()
                processes.still(self._near)
                if self._others_have_acted():
                    processes.still(self._family)
                self._written(lambda: self._slip.set_state("stilled", boot_ms()))  # else it is struck again
            elif self._time_left_ms is not None and self._time_left_ms <= 0:
                self._error = self._run.overtime()
                return Wish("timeout", self._run.kill_grace_ms)
            elif wish := self._run_on(still_at - now):
                return wish

    def _strike(self) -> None:
        """Stop the agent's own group at once: the sweep that finds the rest first reads every process there is."""
        with contextlib.suppress(OSError):
            os.killpg(self._agent, signal.SIGSTOP)  # it leads its group, and was not collected: its number is its own

    def _go_on(self, now: int) -> None:
        """Let the tree go on; where nobody can look for it just now it stands until somebody can."""
        if processes.resume(self._family):
            if self._written(lambda: self._slip.set_state("running", now)) and self._watch:
                self._watch.begin()
        else:
            self._strike()
            self._wait(_SHORT_WAIT_MS)

    def _written(self, write: Callable[[], None]) -> bool:
        """Whether the slip could be written. Where not, a tick has gone by: some disks need room to write over."""
        with contextlib.suppress(OSError):
            write()
            return True
        self._wait(_TICK_MS)
        return False

    def _others_have_acted(self) -> bool:
        """Wait before the long look at all processes: when a host wakes all of its guards are here at once.

        False when something is ordered meanwhile: then there is no time for it.
        """
        until = boot_ms() + _OTHERS_MS
        while (now := boot_ms()) < until:
            if self._wish():
                return False
            self._wait(until - now)
        return True

    def _run_on(self, limit_ms: int) -> Wish | None:
        """Wait while the tree runs: only this counts towards its time limit. Says why what it does must end."""
        before = awake_ms()
        if self._watch:
            if found := self._watch.look():
                self._error = found[1]
                return Wish(found[0], 0 if found[0] == "memory" else self._run.kill_grace_ms)
            limit_ms = min(limit_ms, self._watch.wait_ms())
        self._wait(limit_ms if self._time_left_ms is None else min(limit_ms, self._time_left_ms))
        if self._time_left_ms is not None:
            self._time_left_ms -= awake_ms() - before
        return None

    def _end(self, wish: Wish) -> tuple[Ended, ...]:
        """Ask the tree to end, tell it to, then end it; returns all that was there, by the last signal each took."""
        found: dict[int, Ended] = {}
        if self._watch:
            at_once(self._watch.sample)
        if wish.grace_ms and self._slip.state()[0] == "running":
            for number, name in _ASKED:
                asked = at_once(functools.partial(self._ask, number, name))
                if asked is None:  # nobody can look whom to ask: what is stopped can wait for that, what acts can not
                    break
                found |= asked
                if self._gone_within(wish.grace_ms // 2):
                    return tuple(found.values())
        if self._status is None:
            self._strike()
        found |= {each.pid: each for each in processes.end_family(self._near, self._collect)}
        time.sleep(_OTHERS_MS / 1000)
        found |= {each.pid: each for each in processes.end_family(self._family, self._collect)}
        return tuple(found.values())

    def _ask(self, number: int, name: _Asking) -> dict[int, Ended]:
        family = self._family()
        asked = {each.pid: Ended(each.pid, processes.command(each.pid), name) for each in family}
        processes.signal_all(family, number)
        return asked

    def _gone_within(self, grace_ms: int) -> bool:
        """Wait for the tree to end by itself; no longer than the lease, nor once a stricter order is given."""
        until = boot_ms() + grace_ms
        while True:
            self._collect()
            if self._status is not None and not self._leftovers():
                return True
            found, stricter = self._watch.look() if self._watch else None, self._wish()
            if found and found[0] == "memory":
                return False
            now = boot_ms()
            if now >= min(until, self._still_at()) or (stricter and not stricter.grace_ms):
                return False
            self._wait(min(until - now, 20))

    def _wish(self) -> Wish | None:
        """What was ordered, if anything. A lost lease leaves no grace: another may hold the workspace by now."""
        if order := self._slip.order():
            return Wish(order[0], 0 if order[0] == "lost" else order[1])
        if not self._slip.is_there():
            return Wish("lost", 0)
        return Wish("stopped", self._run.kill_grace_ms) if self._terminated else None

    def _still_at(self) -> int:
        self._deadline_ms = self._slip.deadline_ms() or self._deadline_ms
        return self._deadline_ms - self._run.kill_grace_ms

    def _near(self) -> list[Process]:
        return families.below(self._me.pid)

    def _family(self) -> list[Process]:
        return families.tree(self._slip.marker, self._me)

    def _leftovers(self) -> bool:
        """Whether any of the tree lives, or may. A guard that adopts orphans and has no child has no descendant."""
        left = at_once(lambda: families.marked(self._slip.marker) if self._alone else self._family())
        return left is None or bool(left)

    def _collect(self) -> None:
        """Collect the dead: the agent, and orphans that came to us."""
        with contextlib.suppress(ChildProcessError):
            while (dead := os.waitpid(-1, os.WNOHANG))[0]:
                if dead[0] == self._agent:
                    self._status, self._ended_at = dead[1], epoch_ms()
            self._alone = False
            return
        self._alone = self._adopts

    def _ending(self, reason: Reason, receipt: tuple[Ended, ...] = ()) -> Exit:
        number = None if self._status is None else os.waitstatus_to_exitcode(self._status)
        code = number if number is not None and number >= 0 else None
        killer = -number if number is not None and number < 0 else None
        used = self._watch.ended() if self._watch else (None, None)
        return Exit(code, killer, reason, self._started_at, self._ended_at, self._error, receipt, *used)

    def _wait(self, limit_ms: int) -> None:
        """Until a child changes, a hint comes, or the time is over; never longer than a tick."""
        self._bell.wait(min(limit_ms, _TICK_MS))

    def _terminate(self) -> None:
        self._terminated = True
