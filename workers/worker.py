"""One host: claim, hold, run, complete. Quiet lets what runs end; stop ends it by a deadline."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

from coordinator.config.runners import Runner
from coordinator.errors import CoordinatorError, HostTaken
from coordinator.operations import Complete, Host, Renew
from coordinator.operations.complete import Ending
from coordinator.operations.renew import Taken
from coordinator.steady import end, insist, steadily
from coordinator.store import Store
from workers import host as machine
from workers.claims import Claims
from workers.clock import boot_ms
from workers.guarded import Guard
from workers.guards import Guards
from workers.held import Held, newest
from workers.hydrate import Disk
from workers.retelling import Retelling
from workers.runs import Runs
from workers.start import home_of

log = logging.getLogger(__name__)
_TELL_WITHIN: Final = 10.0  # seconds that a stopped worker waits for a server that is to be told of endings


class Worker:
    """Runs agents under leases. Guards survive it, and the next worker of the host adopts them."""

    def __init__(
        self, store: Store, root: Path, runners: Mapping[str, Runner], *, host: str, slots: int, labels: list[str]
    ) -> None:
        self._store, self._root, self._pools = store, root, sorted(runners)
        self._host, self._slots, self._labels = host, slots, labels
        self._incarnation, self._machine = uuid.uuid4().hex, machine.machine(root)
        self._guards = Guards(home_of(root, host) / "runs")
        self._runs = Runs(store, root, runners, host, self._guards, self._report)
        self._capacity = machine.Room(self._guards.home, slots, [one.memory for one in runners.values()])
        self._again = Retelling(store, host, self._incarnation, self._machine)
        self._claims = Claims(store, host, self._incarnation, self._room, self._runs.begin)
        self._disk = Disk(store, root, host, self._claims.look)
        self._registered, self._beat_now, self._every, self._quiet = asyncio.Event(), asyncio.Event(), 10.0, False

    async def run(self) -> None:
        """Work until quiet and empty. Raises HostTaken when another worker has this host name."""
        with machine.locked(home_of(self._root, self._host), self._host) as self._lock:
            async with self._guards, asyncio.TaskGroup() as group:
                self._runs.group = group
                adopted = self._found()  # at once: what runs keeps it from leaving, however early it is told to
                loops = [self._once_registered(name, loop) for name, loop in self._loops().items()]
                tasks = [group.create_task(one) for one in (self._adopt(adopted), *loops)]
                await self._until_it_may_leave()
                await end(tasks)
                await self._runs.leave()
            try:
                if not self._runs.held:
                    await self._store.run(Host(host=self._host, action="forget"))
            except CoordinatorError as error:  # it goes silent instead
                log.warning("not forgotten host=%s: %s", self._host, error)
        log.info("left host=%s", self._host)

    async def _until_it_may_leave(self) -> None:
        """Quiet and empty; or stopped, and it is the server alone that keeps endings from being told."""
        runs = self._runs
        while runs.held or not self._quiet:
            runs.changed.clear()
            try:
                async with asyncio.timeout(_TELL_WITHIN if runs.stopped else None):
                    await runs.changed.wait()
            except TimeoutError:
                if not any(held.lives for held in runs.held.values()):
                    log.warning("leaves endings for the next worker to tell runs=%d", len(runs.held))
                    return
            await self._claims.answered()  # what is being granted is not left behind

    def quiet(self) -> None:
        """Take no more; what runs may end."""
        self._quiet = True
        self._beat_now.set()
        self._runs.changed.set()

    def stop(self, grace_ms: int | None = None) -> None:
        """Quiet, and end what runs: interrupted now, killed when the grace is over. Nothing more is started."""
        self._runs.stop(grace_ms)
        self.quiet()

    def _loops(self) -> dict[str, Callable[[], Any]]:
        return {"beat": self._beat, "poke": self._hear, "disk": self._disk.work, "watch": self._watch,
                "claim": self._claims.work}  # fmt: skip

    async def _once_registered(self, name: str, loop: Callable[[], Any]) -> None:
        await self._registered.wait()
        await steadily(name, loop)

    def _found(self) -> list[Guard]:
        """Take over what an earlier worker of this host left."""
        guards = self._guards.found()
        self._runs.held |= {guard.token: Held.adopted(guard) for guard in guards}
        return guards

    async def _adopt(self, guards: list[Guard]) -> None:
        """Tell Redis that this incarnation holds these, then see to them."""
        await insist("register", self._renew)
        for guard in guards:  # and not what this beat was told of: that is begun
            self._runs.adopt(guard)
        self._registered.set()

    async def _beat(self) -> None:
        await self._renew()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._every):
                await self._beat_now.wait()
        self._beat_now.clear()

    async def _renew(self) -> None:
        self._lock.keep()
        said = newest(self._runs.held.values())
        asked_ms = boot_ms()
        reply = await self._store.run(
            Renew(
                host=self._host,
                incarnation=self._incarnation,
                machine=self._machine,
                pools=self._pools,
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
        self._every, self._runs.kill_grace_ms = reply.beat / 1000, reply.kill_grace
        self._disk.heard(reply.epoch)
        goes_on = not reply.still and reply.epoch == self._again.epoch
        for held in said.values():
            if held.workspace not in reply.unknown:
                held.renewed(asked_ms + reply.ttl, lost=held.workspace in reply.lost, goes_on=goes_on)
            if held.workspace in reply.kill:
                held.end("killed")
        for grant in reply.unseen:
            self._runs.begin(grant, asked_ms)
        now = newest(self._runs.held.values())
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
        await asyncio.sleep(max(0.05, min(self._every, 1.0, self._runs.kill_grace_ms / 8000)))  # half the grace is left
        for held in list(self._runs.held.values()):
            await asyncio.to_thread(held.enforce)

    def _room(self) -> tuple[int, bool]:
        if self._quiet or not self._disk.is_told:
            return 0, False
        return self._capacity.free(sum(not held.over for held in self._runs.held.values()))

    async def _report(self, held: Held, told: Ending) -> None:
        """Tell the server, and ask it for the next in the same call."""
        reply = await self._claims.ask(lambda asking: Complete(**told.model_dump(exclude_none=True), claim=asking))
        said = (held.workspace, held.token, told.status, told.verdict, reply.outcome)
        log.info("ended workspace=%s token=%d status=%s verdict=%s answer=%s", *said)
        with contextlib.suppress(HostTaken):
            while not await self._again.ending(held, told, reply.outcome):
                await insist("register", self._renew)  # the server has forgotten this host, too
