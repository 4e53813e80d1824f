"""From one PUBLISH of AgentCompleted to the first instruction of the agent that was waiting for the slot.

`python -m tests.bench.wake [N]`: a pool with limit 1 is held by an asker; each round one report ends its run and a
workspace starts on an idle worker. Prints the median and the worst of N rounds in milliseconds.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from coordinator.operations import Submit
from coordinator.operations.submit import Granted
from tests import marks
from tests.fleet import ROOT, Fleet
from tests.servers import REDIS, Servers


async def run(place: Path, url: str, rounds: int) -> list[float]:
    """Milliseconds of each round."""
    took = []
    async with Fleet(url, place, {"codex": 1}) as fleet:
        fleet.serve("r1")
        fleet.serve("r2")
        fleet.work("h1", 2)
        await fleet.ready(1)
        await fleet.heard()
        for at in range(rounds):
            held = await fleet.store.run(
                Submit(workspace=f"held/t{at}", agent="codex", asker="service", otherwise="refuse")
            )
            assert isinstance(held, Granted), held
            await fleet.store.run(Submit(workspace=f"next/t{at}", agent="codex", task="0"))
            said = time.time_ns()
            await fleet.store.publish(
                f'{{"type":"AgentCompleted","agent":"codex","workspace":"held/t{at}","status":"completed"}}'
            )
            await fleet.drained(20)
            started = [mark.ns for mark in marks.read(fleet.marks) if mark.workspace == f"next/t{at}"]
            took.append((started[0] - said) / 1e6)
    return took


if __name__ == "__main__":
    servers = Servers()
    try:
        with tempfile.TemporaryDirectory() as directory:
            taken = asyncio.run(run(Path(directory), servers.url(REDIS), int((sys.argv[1:] or ["40"])[0])))
            print(f"median {statistics.median(taken):.1f} ms, worst {max(taken):.1f} ms of {len(taken)} ({ROOT})")
    finally:
        servers.stop()
