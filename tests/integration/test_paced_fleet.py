"""A paced pool over two replicas and two workers, one of each dying: nothing starts early, and all of it starts."""

from pathlib import Path

import pytest

from coordinator.operations.apply import Rates
from tests.fleet import Fleet
from tests.pacing import burst_rates, lateness, starts


@pytest.mark.reference(68, 71, "W2", "W3")
async def test_no_start_is_early_over_replicas_and_hosts_and_the_edge_of_a_burst_wakes_what_waits(
    server_url: str, tmp_path: Path
) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 8}) as fleet:
        for replica, host in (("r1", "h1"), ("r2", "h2")):
            fleet.serve(replica)
            fleet.work(host, 4)
        await fleet.ready(2)
        for rates in (Rates(sustained_delay=150), await burst_rates(fleet, 1500, sustained=3_600_000, burst=100)):
            granted = await starts(fleet, rates, 6, 30)
            assert min(lateness(rates, granted)) >= 0, (rates, granted)
        fleet.kill("r1")
        rates = Rates(sustained_delay=200)
        granted = await starts(fleet, rates, 4, 30)
        assert min(lateness(rates, granted)) >= 0, granted
