"""How near a fleet comes to what its limits allow: 400 short workspaces, two replicas, three workers, two deaths.

`python -m tests.bench.fleet [--plain]`: `--plain` leaves out the deaths. Prints seconds, the best possible, the ratio,
and by the agents' own marks the most that ran at once.
"""

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from coordinator.operations import Submit
from tests import marks
from tests.fleet import Fleet
from tests.servers import REDIS, Servers
from tests.waiting import wait_until

CONCURRENCY: dict[str, object] = {"codex": {"total": 5, "gpt-5.4": 1}, "claude": 3, "gemini": 1}
COUNTS = {"codex": 185, "codex:gpt-5.4": 40, "claude": 135, "gemini": 40}


def plan(seed: int) -> list[tuple[str, float]]:
    """(agent, seconds) of 400 workspaces of 20 to 200 ms, in a shuffled order."""
    chance = random.Random(seed)
    work = [(agent, chance.uniform(0.020, 0.200)) for agent, count in COUNTS.items() for _ in range(count)]
    chance.shuffle(work)
    return work


def best(work: list[tuple[str, float]]) -> float:
    """Seconds below which no dispatcher can come: the fullest limit, kept full all the time."""

    def total(*agents: str) -> float:
        return sum(seconds for agent, seconds in work if agent in agents)

    return max(total("codex", "codex:gpt-5.4") / 5, total("codex:gpt-5.4"), total("claude") / 3, total("gemini"))


async def run(place: Path, url: str, *, deaths: bool) -> None:
    work = plan(7)
    async with Fleet(url, place, CONCURRENCY) as fleet:
        for replica in ("r1", "r2"):
            fleet.serve(replica)
        for host in ("h1", "h2", "h3"):
            fleet.work(host, 4)
        await fleet.ready(3)
        began = time.monotonic()
        asked = [
            Submit(workspace=f"bench/t{at}", agent=agent, task=f"{seconds:.3f}")
            for at, (agent, seconds) in enumerate(work)
        ]
        await asyncio.gather(*(fleet.store.run(each) for each in asked))
        if deaths:
            await _until_completed(fleet, 100)
            fleet.kill("r1")
            fleet.kill("h1")
            fleet.serve("r1")
            fleet.work("h1", 4)
        status = await fleet.drained(60)
        took = time.monotonic() - began
        seen = marks.read(fleet.marks)
        twice = [name for name, count in marks.starts(seen).items() if count != 1]
        adopted = fleet.said("h1").count("adopted")
        print(f"took {took:.2f} s, best {best(work):.2f} s, ratio {took / best(work):.2f}")
        print(f"completed {status.completed} of {len(work)}, started twice {twice}, adopted {adopted}")
        print("most at once", dict(sorted(marks.most_at_once(seen).items())))


async def _until_completed(fleet: Fleet, count: int) -> None:
    async def there() -> bool:
        return (await fleet.status()).completed >= count

    await wait_until(there, f"{count} have completed", 60, every=0.05)


if __name__ == "__main__":
    servers = Servers()
    try:
        with tempfile.TemporaryDirectory() as directory:
            asyncio.run(run(Path(directory), servers.url(REDIS), deaths="--plain" not in sys.argv))
    finally:
        servers.stop()
