"""The runs of one host, each from its grant, or from its adoption, until its ending is recorded."""

import asyncio
import collections
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from coordinator.config.runners import Runner
from coordinator.errors import GuardError, WorkerError, WorkspaceError
from coordinator.models import Grant
from coordinator.operations import Query
from coordinator.operations.complete import Ending
from coordinator.steady import end, insist
from coordinator.store import Store
from workers import finish
from workers.clock import boot_ms
from workers.ending import ending
from workers.guarded import Guard
from workers.guards import Guards
from workers.held import Held
from workers.journal import Journal
from workers.start import prepare
from workers.workspace import Workspace

log = logging.getLogger(__name__)


class Runs:
    """What runs here, by token. `changed` is set when one has ended, and when its ending is recorded."""

    def __init__(
        self, store: Store, root: Path, runners: Mapping[str, Runner], host: str, guards: Guards,
        report: Callable[[Held, Ending], Awaitable[None]],
    ) -> None:  # fmt: skip
        """`report` returns when the ending is recorded, or was refused as an older run's."""
        self._store, self._root, self._runners, self._host = store, root, runners, host
        self._guards, self._report, self._journal = guards, report, Journal(root)
        self._done: collections.deque[int] = collections.deque(maxlen=4096)  # a late answer must not start these again
        self._tasks = set[asyncio.Task[None]]()
        self.held: dict[int, Held] = {}
        self.changed = asyncio.Event()
        self.kill_grace_ms, self.stopped = 15_000, False
        self.group: asyncio.TaskGroup  # set before anything is spawned

    def begin(self, grant: Grant, asked_ms: int) -> None:
        """Start a grant once, however often it is told of. The lease is counted from `asked_ms` (boot clock)."""
        if grant.token in self.held or grant.token in self._done:
            return
        before = [held for held in self.held.values() if held.workspace == grant.workspace]
        self.held[grant.token] = held = Held.of(grant, asked_ms)
        log.info("granted workspace=%s agent=%s token=%d", grant.workspace, grant.agent, grant.token)
        self._spawn(held, self._start(held, grant, before))

    def adopt(self, guard: Guard) -> None:
        """See to a run of an earlier worker, which is in `held`."""
        log.info("adopted workspace=%s token=%d", guard.workspace, guard.token)
        self._spawn(held := self.held[guard.token], self._resume(held, guard))

    def stop(self, grace_ms: int | None = None) -> None:
        """End what runs: interrupted now, killed when the grace is over. Nothing more is started."""
        self.stopped = True
        for held in self.held.values():
            held.end("stopped", grace_ms)

    async def leave(self) -> None:
        """See to none of them any more. Guards go on, and slips keep what has ended."""
        await end(self._tasks)

    def _spawn(self, held: Held, work: Coroutine[Any, Any, None]) -> None:
        if self.stopped:
            held.end("stopped")
        self._tasks.add(task := self.group.create_task(self._contained(held, work)))
        task.add_done_callback(self._tasks.discard)

    async def _contained(self, held: Held, work: Coroutine[Any, Any, None]) -> None:
        """What goes wrong with one run leaves the others alone."""
        try:
            await work
        except WorkspaceError as error:  # of an adopted run
            await self._give_up(held, str(error))
        except Exception:
            log.exception("met a surprise workspace=%s token=%d", held.workspace, held.token)
            await self._give_up(held, "the worker met a surprise: its log says which")

    async def _give_up(self, held: Held, why: str) -> None:
        """End what runs of it and report it failed; where its end can not be proved, its lease is left to run out."""
        try:
            if held.guard:
                held.guard.end("killed", 0)
                await held.guard.ended()
            await self._told(held, finish.failed(held.workspace, held.token, held.order, why))
        except Exception:  # nobody is told: its lease runs out
            log.exception("no proof of death, or no report of it workspace=%s token=%d", held.workspace, held.token)
            self._leave(held)

    async def _resume(self, held: Held, guard: Guard) -> None:
        found = (await insist("find", lambda: self._store.run(Query(workspace=held.workspace)))).workspaces
        if found and (grant := held.learn(found[0])):
            self._guards.note(grant)
        await self._follow(held, guard, Workspace(self._root, held.workspace, found[0].dir if found else None))

    async def _start(self, held: Held, grant: Grant, before: list[Held]) -> None:
        for old in before:  # of a lower token: it is stale, and this run waits until nothing of it is left
            old.end("lost")
            if old.guard and (exit_ := await old.guard.ended()).left:
                return await self._told(held, ending(held.workspace, held.token, exit_, None))
        try:
            workspace = Workspace(self._root, grant.workspace, grant.dir)
            if told := finish.known(workspace, held.token):
                return await self._told(held, told)
            run = await held.unless_ended(prepare(grant, workspace, self._runners, self._host, self.kill_grace_ms))
            self._guards.note(grant)
            guard = await self._guards.find(held.token) or await self._guards.start(run, held.deadline_ms)
        except WorkerError as error:
            if boot_ms() >= held.deadline_ms - self.kill_grace_ms:  # whoever holds the next lease runs it
                log.warning("not started workspace=%s token=%d: %s", held.workspace, held.token, error)
                return self._drop(held)
            return await self._told(held, finish.failed(held.workspace, held.token, held.order, str(error)))
        held.under(guard)
        self._journal.started(grant, workspace, held.lease().pid or 0)
        return await self._follow(held, guard, workspace)

    async def _follow(self, held: Held, guard: Guard, workspace: Workspace) -> None:
        """Wait for the ending, write it down, report it, and take the next in the same call."""
        exit_ = await guard.ended()
        held.over = True
        self.changed.set()
        if exit_.reason == "lost" and not held.order and not exit_.left:  # Redis was away too long
            log.warning("lost workspace=%s token=%d: it is queued again as its lease ends", held.workspace, held.token)
            return self._leave(held)
        told = finish.told(workspace, held.token, exit_)
        if exit_.reason != "lost":
            self._journal.ended(workspace, told, exit_)
        if exit_.left or (exit_.receipt and exit_.reason == "exited"):
            log.warning("swept workspace=%s processes=%s", held.workspace, [tuple(each) for each in exit_.receipt])
        return await self._told(held, told)

    async def _told(self, held: Held, told: Ending) -> None:
        held.over = True
        await self._report(held, told)
        self._leave(held)

    def _leave(self, held: Held) -> None:
        self._done.append(held.token)
        self._drop(held)

    def _drop(self, held: Held) -> None:
        if held.guard:
            with contextlib.suppress(GuardError):
                held.guard.forget()
        self.held.pop(held.token, None)
        self.changed.set()
