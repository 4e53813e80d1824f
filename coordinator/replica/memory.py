"""Memory: what operators have set, remembered, and written back to a server that comes back empty."""

import asyncio
import contextlib
import logging
from typing import Any, Final

from pydantic import ValidationError

from coordinator.errors import InvalidQuestion, StoreUnusable
from coordinator.models import FreezeView, Question
from coordinator.operations import Apply, BackOff, Backup, Freeze
from coordinator.operations._operation import Operation, question
from coordinator.operations.apply import MOST_HOSTS, FleetSettings
from coordinator.operations.backup import BackedUp
from coordinator.replica.applying import parts
from coordinator.steady import steadily
from coordinator.store import Store

log = logging.getLogger(__name__)
TICK: Final = 5.0  # seconds between looks that no fact asked for
_PAUSE: Final = 0.2  # seconds, however many facts are heard: anybody may say that there is one
_BY: Final = "serve"
_LINE: Final = 500  # bytes of a reason; one that is kept also says who gave it


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
        found = await self._store.run(Backup())
        if self._kept and (found.new or (found.blind or 0) > self._kept.epoch):
            await self._write_back(self._kept, found)
            return
        if not found.new:
            self._kept = found
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICK):
                await self._look.wait()
                await asyncio.sleep(_PAUSE)

    async def _write_back(self, kept: BackedUp, found: BackedUp) -> None:
        """The configuration last: with it the server is no longer new, and every other replica leaves it alone."""
        log.warning(
            "the server came back empty: what was set is written back, hosts=%d tell what runs", len(kept.hosts)
        )
        for key, gate in kept.gates.items():
            if gate.until > found.now:
                await self._set(BackOff, key=key, until=gate.until, reason=_line(gate.reason))
        for key, of_key in kept.freezes.items():
            if not _is_over(of_key, found.now):
                await self._set(Freeze, key=key, by=of_key.by, reason=_line(of_key.reason), until=of_key.until)
        freeze, frozen = kept.freeze, kept.frozen and not (kept.freeze and _is_over(kept.freeze, found.now))
        if frozen and freeze and not found.freeze:
            await self._set(Freeze, by=freeze.by, reason=_line(freeze.reason), until=freeze.until)
        asked = _application(kept, thaw=not frozen)
        try:
            async for _ in parts(self._store.run, asked):
                pass
        except InvalidQuestion as error:  # of times each of which may be, and not together
            log.warning("times are not written back, for they do not fit together: %s", error)
            async for _ in parts(self._store.run, asked.model_copy(update={"settings": None})):
                pass

    async def _set(self, verb: type[Operation[Any]], **said: Any) -> None:
        """One that can not be set does not keep the rest away."""
        try:
            await self._store.run(question(verb, **said))
        except (InvalidQuestion, StoreUnusable) as error:
            log.warning("not written back %s %s: %s", verb.__name__, said, error)


def _is_over(freeze: FreezeView, now: int) -> bool:
    return freeze.until is not None and freeze.until <= now


def _line(text: str | None) -> str | None:
    """As much of a reason as a question takes."""
    return (text or "").encode()[:_LINE].decode("utf-8", "ignore") or None


def _application(kept: BackedUp, *, thaw: bool) -> Apply:
    rates = {pool: rates.model_dump(exclude_none=True) for pool, rates in kept.rates.items()}
    accounts = {pool: list(names) for pool, names in kept.accounts.items()}
    settings = [name for name, value in kept.settings.items() if _fits(FleetSettings, name, value)]
    agent = kept.default_agent
    return Apply(
        limits=_those_that_fit("limits", kept.limits),
        rates=_those_that_fit("rates", rates),
        accounts=_those_that_fit("accounts", accounts),
        weights=_those_that_fit("weights", kept.weights),
        settings=FleetSettings.model_validate({name: kept.settings[name] for name in settings}),
        default_agent=agent if agent and _fits(Apply, "default_agent", agent) else None,
        if_new=True,
        thaw=thaw or None,
        hosts=list(kept.hosts[-MOST_HOSTS:]),  # those that were heard of last
        by=_BY,
    )


def _those_that_fit(field: str, values: dict[str, Any]) -> Any:
    return {key: value for key, value in values.items() if _fits(Apply, field, {key: value})}


def _fits(kind: type[Question], field: str, value: Any) -> bool:
    """Whether it may be set; what was put there by hand, and may not, does not keep the rest away."""
    try:
        kind.model_validate({field: value})
    except ValidationError as error:
        log.warning("not written back %s=%s: %s", field, value, error.errors()[0]["msg"])
        return False
    return True
