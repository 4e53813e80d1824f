"""A paced pool on a live fleet: when its runs were granted, by the server's clock, against what its rates allow."""

import asyncio
from itertools import pairwise

from coordinator.operations import Apply, GetStatus, Submit
from coordinator.operations.apply import Rates
from tests.fleet import Fleet
from tests.model.pace_model import DAY, Pace


async def burst_rates(fleet: Fleet, ahead: int, sustained: int, burst: int) -> Rates:
    """Rates whose burst begins `ahead` ms from now, and ends a minute or more after that."""
    now = (await fleet.store.run(GetStatus())).now
    reset = (now + ahead) // 60_000 * 60_000 + 120_000
    hour, minute = divmod(reset // 60_000 % 1440, 60)
    return Rates(
        reset_utc=f"{hour:02}:{minute:02}",
        sustained_delay=sustained,
        burst_delay=burst,
        burst_window=reset - now - ahead,
    )


async def starts(fleet: Fleet, rates: Rates, count: int, deadline: float) -> list[int]:
    """Runs `count` of the pool codex under these rates; when each was granted, in epoch ms of the server."""
    await fleet.store.run(Apply(rates={"codex": rates}))
    await fleet.store.redis.delete(fleet.store.key("starts", "codex"))
    names = [f"paced/t{number}" for number in range(count)]
    await asyncio.gather(
        *(fleet.store.run(Submit(workspace=name, agent="codex", task="0", again=True)) for name in names)
    )
    await fleet.drained(deadline)
    records = [await fleet.record(name) for name in names]
    assert {record.status for record in records} == {"completed"}
    return sorted(record.started_at or 0 for record in records)


def lateness(rates: Rates, granted: list[int]) -> list[int]:
    """How many ms after the earliest moment allowed each run but the first was granted; below 0: too early."""
    pace = Pace()
    pace.take(rates)
    found = []
    for last, then in pairwise(granted):
        pace.last = last
        refused = pace.refuses(last)
        earliest = refused[1] if refused else last
        pace_then = pace.refuses(then)  # an edge may have shut it again: then it must not have started at all
        found.append(then - earliest if pace_then is None else -DAY)
    return found
