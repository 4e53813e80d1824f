"""An end that is wanted before the worker knows that it was granted the run: it is heard at once, not a beat later."""

import signal
from pathlib import Path

import psutil
import pytest
from redis.asyncio import Redis

from coordinator.operations import Claim, Kill, Submit
from tests import marks
from tests.fleet import Fleet
from tests.waiting import wait_until


@pytest.mark.parametrize("server_kind", ["redis"], indirect=True)
async def test_a_kill_that_overtakes_the_answer_of_a_claim_ends_the_run_at_once(
    server_url: str, tmp_path: Path, raw: Redis
) -> None:
    """The claim is asked in the worker's name: so its answer never reaches it, and the kill is the first it hears."""
    async with Fleet(server_url, tmp_path, {"codex": 1}, lease_ttl="10m", beat="2m", kill_grace="1s") as fleet:
        fleet.serve("r1")
        fleet.work("h1", 1)
        await fleet.ready(1)
        worker = fleet.processes["h1"].pid
        fleet.signal("h1", signal.SIGSTOP)
        await wait_until(lambda: psutil.Process(worker).status() == psutil.STATUS_STOPPED, "the worker stands")
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="60"))
        known = await raw.hgetall(fleet.store.key("host", "h1"))
        seq = int(known["seq"]) + 9
        claimed = await fleet.store.run(Claim(host="h1", incarnation=known["incarnation"], seq=seq))
        assert [grant.workspace for grant in claimed.grants] == ["a/1"]
        await fleet.store.run(Kill(workspace="a/1", by="ana"))
        fleet.signal("h1", signal.SIGCONT)
        record = await fleet.becomes("a/1", "failed", deadline=15)  # a beat is two minutes away
        assert record.verdict == "killed"
        assert len(marks.starts(marks.read(fleet.marks))) <= 1
