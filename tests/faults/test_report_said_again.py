"""One ending that is reported without a token, twice, late, and once more from the inbox: it counts once."""

import json
import signal
from pathlib import Path

import psutil

from coordinator.models import Grant
from coordinator.operations import Complete, Submit
from coordinator.operations.submit import Granted
from tests.fleet import Fleet
from tests.waiting import wait_until

REPLICAS = ("r1", "r2")
REPORT = json.dumps({"type": "AgentCompleted", "agent": "codex", "workspace": "a/1", "status": "completed"})


async def granted(fleet: Fleet) -> Grant:
    answer = await fleet.store.run(Submit(workspace="a/1", agent="codex", asker="svc", again=True))
    assert isinstance(answer, Granted)
    return answer.grant


async def facts(fleet: Fleet, kind: str) -> list[dict[str, object]]:
    """Those of this type about the workspace."""
    found = [json.loads(entry.json) for entry in await fleet.store.last_events(1000) if entry.type == kind]
    return [fact for fact in found if fact.get("workspace") == "a/1"]


async def stop(fleet: Fleet, *names: str) -> None:
    for name in names:
        fleet.signal(name, signal.SIGSTOP)
        process = psutil.Process(fleet.processes[name].pid)
        await wait_until(lambda process=process: process.status() == psutil.STATUS_STOPPED, "it stands")  # type: ignore[misc]


async def test_it_counts_once_and_the_new_run_is_untouched(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 1}) as fleet:
        for name in REPLICAS:
            fleet.serve(name)

        async def all_hear() -> bool:
            return await fleet.store.publish('{"type":"PokeQueue"}') == len(REPLICAS)

        await wait_until(all_hear, "both replicas hear the bus", 20, every=0.05)
        first = await granted(fleet)
        await stop(fleet, "r2")
        assert [await fleet.store.publish(REPORT) for _ in range(2)] == [2, 2]  # r2 will read them late
        await fleet.becomes("a/1", "completed")
        await stop(fleet, "r1")
        for _ in range(2):
            await fleet.store.redis.xadd(fleet.store.key("inbox"), {"json": REPORT})
        second = await granted(fleet)
        assert second.token > first.token
        for name in REPLICAS:
            fleet.signal(name, signal.SIGCONT)

        async def all_read() -> bool:
            refused = [fact["reason"] for fact in await facts(fleet, "ReportRefused")]
            assert set(refused) <= {"the report is older than the run"}
            return len(refused) >= 4 and not await fleet.store.redis.xlen(fleet.store.key("inbox"))

        await wait_until(all_read, "r2 has refused both, and somebody the two of the inbox", 20, every=0.05)
        record = await fleet.record("a/1")
        assert (record.status, record.token, record.runs) == ("running", second.token, 2)
        assert [fact["token"] for fact in await facts(fleet, "AgentCompleted")] == [first.token]
        assert await fleet.store.redis.scard(fleet.store.key("slots", "codex")) == 1
        await fleet.store.run(Complete(workspace="a/1", token=second.token, status="failed"))
