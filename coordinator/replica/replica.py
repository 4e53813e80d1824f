"""One coordinator process: its loops, its signals, its end. Any number may run, all alike; any may die."""

import asyncio
import contextlib
import logging
import signal
import time
from typing import Final

from coordinator.config.fleet import Fleet
from coordinator.messages import PokeQueue
from coordinator.operations import Apply, GetStatus
from coordinator.operations.apply import FleetSettings, Rates
from coordinator.replica.applying import parts
from coordinator.replica.bus import Bus
from coordinator.replica.inbox import Inbox
from coordinator.replica.memory import Memory
from coordinator.replica.reports import Reports
from coordinator.replica.sweeper import Sweeper
from coordinator.steady import end
from coordinator.store import Store

log = logging.getLogger(__name__)
_GIVEN_BACK_WITHIN: Final = 2.0  # seconds
_LOOK_EVERY: Final = 0.1  # seconds


def application(fleet: Fleet, *, if_new: bool = False, thaw: bool = False, by: str | None = None) -> Apply:
    """The verb that makes a fleet's shared part true: limits, rates, accounts, weights, settings; never its runners."""
    return Apply(
        limits=fleet.limits(),
        rates={pool: Rates.model_validate(rates) for pool, rates in fleet.rates().items()},
        accounts={pool: list(names) for pool, names in fleet.accounts.items()},
        weights=fleet.weights,
        settings=FleetSettings.model_validate(fleet.settings()),
        default_agent=fleet.dispatch.default_agent,
        if_new=if_new or None,
        thaw=thaw or None,
        by=by,
    )


async def begin(store: Store, fleet: Fleet, *, thawed: bool, by: str = "serve") -> None:
    """Give a new namespace its configuration; it begins frozen unless `thawed`. A known one is left as it is.

    One that hosts or other replicas remember is not new, but has lost what was set: they give it back, or it is frozen.
    """
    if await _is_new(store):
        async for _ in parts(store.run, application(fleet, if_new=True, thaw=thawed, by=by)):
            pass
    status = await store.run(GetStatus())
    if status.frozen:
        log.warning("frozen: nothing starts until somebody runs `coordinator start`")


async def _is_new(store: Store) -> bool:
    """Whether nobody has configured it, nor does so in the time that a replica needs which remembers what was set."""
    new = (await store.run(GetStatus())).new
    if not new or not await store.publish(PokeQueue().model_dump_json(exclude_none=True)):
        return new
    until = time.monotonic() + _GIVEN_BACK_WITHIN
    while new and time.monotonic() < until:
        await asyncio.sleep(_LOOK_EVERY)
        new = (await store.run(GetStatus())).new
    return new  # those that listened are no replicas, or new themselves


async def serve(store: Store, stop: asyncio.Event) -> None:
    """Hear, sweep, read the inbox and remember what is set until `stop` is set."""
    memory = Memory(store)
    sweeper = Sweeper(store, memory)
    reports = Reports(store, sweeper, memory)
    loops = (memory.run, sweeper.run, Bus(store, reports).run, Inbox(store, reports).run)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop()) for loop in loops]
        log.info("serving root=%s", store.root)
        await stop.wait()
        await end(tasks)
    log.info("stopped")


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set `stop` on SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
