"""How near to the earliest moment allowed a paced pool starts, over two replicas and two workers.

`python -m tests.bench.pace [--reset]`: three paces, one with the edge into a burst; with `--reset` also through a real
reset, which takes up to two minutes. Prints for each how late the starts were; a start that was early is an error.
"""

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

from coordinator.operations.apply import Rates
from tests.fleet import Fleet
from tests.pacing import burst_rates, lateness, starts
from tests.servers import REDIS, Servers


async def run(place: Path, url: str, *, reset: bool) -> None:
    async with Fleet(url, place, {"codex": 8}) as fleet:
        for replica, host in (("r1", "h1"), ("r2", "h2")):
            fleet.serve(replica)
            fleet.work(host, 4)
        await fleet.ready(2)
        await _measure(fleet, "150 ms apart", Rates(sustained_delay=150), 40)
        await _measure(fleet, "burst of 60 ms, floor of 120 ms", Rates(
            sustained_delay=5000, burst_delay=60, min_delay=120, burst_window=86_400_000), 40)  # fmt: skip
        await _measure(fleet, "into a burst after 2 s", await burst_rates(fleet, 2000, 3_600_000, 100), 20)
        if reset:
            rates = await burst_rates(fleet, 0, 4_000, 2_000)
            count = (rates.burst_window or 0) // 2_000 + 6
            await _measure(fleet, f"through the reset at {rates.reset_utc}", rates, count)


async def _measure(fleet: Fleet, name: str, rates: Rates, count: int) -> None:
    late = lateness(rates, await starts(fleet, rates, count, 200))
    print(f"{name}: {count} starts, late by {statistics.median(late):.0f} ms median, {max(late)} ms worst")
    assert min(late) >= 0, f"early: {late}"


if __name__ == "__main__":
    servers = Servers()
    try:
        with tempfile.TemporaryDirectory() as directory:
            asyncio.run(run(Path(directory), servers.url(REDIS), reset="--reset" in sys.argv))
    finally:
        servers.stop()
