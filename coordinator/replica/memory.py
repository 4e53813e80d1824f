"""Memory: what operators have set, remembered, and written back to a server that comes back empty."""

import asyncio
import contextlib
import logging
from typing import Final

from coordinator.operations import Apply, BackOff, Backup, Freeze, Thaw
from coordinator.operations.apply import FleetSettings, Rates
from coordinator.operations.backup import BackedUp
from coordinator.replica.applying import parts
from coordinator.steady import steadily
from coordinator.store import Store

log = logging.getLogger(__name__)
TICK: Final = 5.0  # seconds between looks that no fact asked for
_PAUSE: Final = 0.2  # seconds, however many facts are heard: anybody may say that there is one
_BY: Final = "serve"


class Memory:
    """One of these is in every replica; several write back the same. What they never saw is lost with the server."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: BackedUp | None = None
        self._look = asyncio.Event()

    def look(self) -> None:
        """Look soon: something was set, or all of it is gone."""
        self._look.set()

    async def run(self) -> None:
        """Remember for ever."""
        await steadily("memory", self._once)

    async def _once(self) -> None:
        self._look.clear()
        kept = await self._store.run(Backup())
        if not kept.new:
            self._kept = kept
        elif self._kept:
            await self._write_back(self._kept, kept.now)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICK):
                await self._look.wait()
                await asyncio.sleep(_PAUSE)

    async def _write_back(self, kept: BackedUp, now: int) -> None:
        """The configuration last: with it the server is no longer new, and every other replica leaves it alone."""
        log.warning(
            "the server came back empty: what was set is written back, hosts=%d tell what runs", len(kept.hosts)
        )
        for key, gate in kept.gates.items():
            if gate.until > now:
                await self._store.run(BackOff(key=key, until=gate.until, reason=gate.reason))
        for key, freeze in kept.freezes.items():
            if not freeze.until or freeze.until > now:
                await self._store.run(Freeze(key=key, by=freeze.by, reason=freeze.reason, until=freeze.until))
        async for _ in parts(self._store.run, _application(kept)):
            pass
        if not kept.frozen:
            await self._store.run(Thaw(by=_BY))
        elif kept.freeze:
            freeze = kept.freeze
            until = freeze.until if freeze.until and freeze.until > now else None
            await self._store.run(Freeze(by=freeze.by, reason=freeze.reason, until=until))


def _application(kept: BackedUp) -> Apply:
    return Apply(
        limits=kept.limits,
        rates={pool: Rates.model_validate(rates.model_dump(exclude_none=True)) for pool, rates in kept.rates.items()},
        accounts={pool: list(names) for pool, names in kept.accounts.items()},
        weights=kept.weights,
        settings=FleetSettings.model_validate(kept.settings),
        default_agent=kept.default_agent,
        if_new=True,
        hosts=list(kept.hosts),
        by=_BY,
    )
