"""One host: claim, hold, run, complete. Quiet lets what runs end; stop ends it by a deadline."""

import asyncio
import collections
import contextlib
import logging
import uuid
from collections.abc import Callable, Coroutine, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from coordinator.config.runners import Runner
from coordinator.errors import CoordinatorError, GuardError, HostTaken, WorkerError, WorkspaceError
from coordinator.models import Grant
from coordinator.operations import Complete, Host, Query, Renew
from coordinator.operations.complete import Ending
from coordinator.operations.renew import Taken
from coordinator.steady import end, insist, steadily
from coordinator.store import Store
from workers import finish
from workers import host as machine
from workers.claims import Claims
from workers.clock import boot_ms
from workers.ending import ending
from workers.guarded import Guard
from workers.guards import Guards
from workers.held import Held, newest
from workers.hydrate import Disk
from workers.journal import Journal
from workers.retelling import Retelling
from workers.start import home_of, prepare
from workers.workspace import Workspace

log = logging.getLogger(__name__)


class Worker:
    """Runs agents under leases. Guards survive it, and the next worker of the host adopts them."""

    def __init__(
        self, store: Store, root: Path, runners: Mapping[str, Runner], *, host: str, slots: int, labels: list[str]
    ) -> None:
        self._store, self._root, self._runners = store, root, runners
        self._host, self._slots, self._labels = host, slots, labels
        self._incarnation, self._machine = uuid.uuid4().hex, machine.machine(root)
        self._guards = Guards(home_of(root, host) / "runs")
        self._held: dict[int, Held] = {}
        self._done: collections.deque[int] = collections.deque(maxlen=4096)  # a late answer must not start these again
        self._capacity = machine.Room(self._guards.home, slots, [one.memory for one in runners.values()])
        self._disk, self._journal = Disk(store, root, host), Journal(root)
        self._again = Retelling(store, host, self._incarnation, self._machine)
        self._claims = Claims(store, host, self._incarnation, self._room, self._begin)
        self._beat_now, self._changed = asyncio.Event(), asyncio.Event()
        self._kill_grace_ms, self._every, self._quiet, self._stopped = 15_000, 10.0, False, False
        self._group: asyncio.TaskGroup  # set by run(), before anything is spawned

    async def run(self) -> None:
        """Work until quiet and empty. Raises HostTaken when another worker has this host name."""
        with machine.locked(home_of(self._root, self._host), self._host) as self._lock:
            async with self._guards, asyncio.TaskGroup() as group:
                self._group = group
                await self._adopt()
                loops = [group.create_task(steadily(name, loop)) for name, loop in self._loops().items()]
                while not (self._quiet and not self._held):
                    self._changed.clear()
                    await self._changed.wait()
                    await self._claims.answered()  # what is being granted is not left behind
                await end(loops)
            try:
                await self._store.run(Host(host=self._host, action="forget"))
            except CoordinatorError as error:  # it goes silent instead
                log.warning("not forgotten host=%s: %s", self._host, error)
        log.info("left host=%s", self._host)

    def quiet(self) -> None:
        """Take no more; what runs may end."""
        self._quiet = True
        self._beat_now.set()
        self._changed.set()

    def stop(self, grace_ms: int | None = None) -> None:
        """Quiet, and end what runs: interrupted now, killed when the grace is over. Nothing more is started."""
        self._stopped = True
        self.quiet()
        for held in self._held.values():
            held.end("stopped", grace_ms)

    def _loops(self) -> dict[str, Callable[[], Any]]:
        return {"beat": self._beat, "poke": self._hear, "disk": self._disk.work, "watch": self._watch,
                "claim": self._disk.before(self._claims.work)}  # fmt: skip

    async def _adopt(self) -> None:
        """Take over what an earlier worker of this host left, then tell Redis that this incarnation holds it."""
        self._held = {guard.token: Held.adopted(guard) for guard in self._guards.found()}
        await insist("register", self._renew)
        for held in list(self._held.values()):
            if held.guard:
                log.info("adopted workspace=%s token=%d", held.workspace, held.token)
                self._spawn(held, self._resume(held, held.guard))

    async def _resume(self, held: Held, guard: Guard) -> None:
        found = (await insist("find", lambda: self._store.run(Query(workspace=held.workspace)))).workspaces
        if found and (grant := held.learn(found[0])):
            self._guards.note(grant)
        await self._follow(held, guard, Workspace(self._root, held.workspace, found[0].dir if found else None))

    async def _beat(self) -> None:
        await self._renew()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._every):
                await self._beat_now.wait()
        self._beat_now.clear()

    async def _renew(self) -> None:
        self._lock.keep()
        said = newest(self._held.values())
        asked_ms = boot_ms()
        reply = await self._store.run(
            Renew(
                host=self._host,
                incarnation=self._incarnation,
                machine=self._machine,
                pools=sorted(self._runners),
                labels=self._labels,
                slots=0 if self._quiet else self._slots,
                mode="pull",
                trouble=self._capacity.trouble() or None,
                held=[held.lease() for held in said.values()],
                epoch=self._again.epoch,
            )
        )
        if isinstance(reply, Taken):
            seconds = reply.retry_in // 1000 + 1
            raise HostTaken(f"host {self._host} is a worker elsewhere: choose another --host, or wait {seconds} s")
        self._every, self._kill_grace_ms = reply.beat / 1000, reply.kill_grace
        self._disk.heard(reply.epoch)
        goes_on = not reply.still and reply.epoch == self._again.epoch
        for held in said.values():
            if held.workspace not in reply.unknown:
                held.renewed(asked_ms + reply.ttl, lost=held.workspace in reply.lost, goes_on=goes_on)
            if held.workspace in reply.kill:
                held.end("killed")
        for grant in reply.unseen:
            self._begin(grant, asked_ms)
        now = newest(self._held.values())
        unsaid = any(now.get(one.workspace) is not said.get(one.workspace) for one in reply.unseen)
        if await self._again.after(reply, now.values()) or unsaid:  # its end may be wanted: a beat that holds it hears
            self._beat_now.set()

    async def _hear(self) -> None:
        async with aclosing(self._store.hear(f"poke:{self._host}")) as pokes:
            async for poke in pokes:
                self._claims.look()
                if poke.text == "beat" or not poke.channel:
                    self._beat_now.set()

    async def _watch(self) -> None:
        await asyncio.sleep(max(0.05, min(self._every, 1.0, self._kill_grace_ms / 8000)))  # half the grace is left
        for held in list(self._held.values()):
            await asyncio.to_thread(held.enforce)

    def _room(self) -> tuple[int, bool]:
        return (0, False) if self._quiet else self._capacity.free(sum(not held.over for held in self._held.values()))

    def _spawn(self, held: Held, work: Coroutine[Any, Any, None]) -> None:
        if self._stopped:
            held.end("stopped")
        self._group.create_task(self._contained(held, work))

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
            await self._report(held, finish.failed(held.workspace, held.token, held.order, why))
        except Exception:  # nobody is told: its lease runs out
            log.exception("no proof of death, or no report of it workspace=%s token=%d", held.workspace, held.token)
            self._done.append(held.token)
            self._drop(held)

    def _begin(self, grant: Grant, asked_ms: int) -> None:
        """Start a grant once, however often it is told of."""
        if grant.token in self._held or grant.token in self._done:
            return
        before = [held for held in self._held.values() if held.workspace == grant.workspace]
        self._held[grant.token] = held = Held.of(grant, asked_ms)
        log.info("granted workspace=%s agent=%s token=%d", grant.workspace, grant.agent, grant.token)
        self._spawn(held, self._start(held, grant, before))

    async def _start(self, held: Held, grant: Grant, before: list[Held]) -> None:
        for old in before:  # of a lower token: it is stale, and this run waits until nothing of it is left
            old.end("lost")
            if old.guard and (exit_ := await old.guard.ended()).left:
                return await self._report(held, ending(held.workspace, held.token, exit_, None))
        try:
            workspace = Workspace(self._root, grant.workspace, grant.dir)
            if told := finish.known(workspace, held.token):
                return await self._report(held, told)
            run = await held.unless_ended(prepare(grant, workspace, self._runners, self._host, self._kill_grace_ms))
            self._guards.note(grant)
            guard = self._guards.find(held.token) or await self._guards.start(run, held.deadline_ms)
        except WorkerError as error:
            if boot_ms() >= held.deadline_ms - self._kill_grace_ms:  # whoever holds the next lease runs it
                log.warning("not started workspace=%s token=%d: %s", held.workspace, held.token, error)
                return self._drop(held)
            return await self._report(held, finish.failed(held.workspace, held.token, held.order, str(error)))
        held.under(guard)
        self._journal.started(grant, workspace, guard.pid)
        return await self._follow(held, guard, workspace)

    async def _follow(self, held: Held, guard: Guard, workspace: Workspace) -> None:
        """Wait for the ending, write it down, report it, and take the next in the same call."""
        exit_ = await guard.ended()
        held.over = True
        told = finish.told(workspace, held.token, exit_)
        if exit_.reason != "lost":
            self._journal.ended(workspace, told, exit_)
        if exit_.left or (exit_.receipt and exit_.reason == "exited"):
            log.warning("swept workspace=%s processes=%s", held.workspace, [tuple(each) for each in exit_.receipt])
        await self._report(held, told)

    async def _report(self, held: Held, told: Ending) -> None:
        held.over = True
        reply = await self._claims.ask(lambda asking: Complete(**told.model_dump(exclude_none=True), claim=asking))
        said = (held.workspace, held.token, told.status, told.verdict, reply.outcome)
        log.info("ended workspace=%s token=%d status=%s verdict=%s answer=%s", *said)
        with contextlib.suppress(HostTaken):
            while not await self._again.ending(held, told, reply.outcome):
                await insist("register", self._renew)  # the server has forgotten this host, too
        self._done.append(held.token)
        self._drop(held)

    def _drop(self, held: Held) -> None:
        if held.guard:
            with contextlib.suppress(GuardError):
                held.guard.forget()
        self._held.pop(held.token, None)
        self._changed.set()
