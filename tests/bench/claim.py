"""Server time of claim and complete by what waits: 100 and 100,000 workspaces, 1 and 1,000 blocked lanes.

`python -m tests.bench.claim [N]`: microseconds a call of `dispatch_claim` and `dispatch_complete`, medians from the
server's own log of calls, over N rounds of claim and complete.
"""

import asyncio
import statistics
import sys
from typing import Any

from redis.asyncio import Redis

from coordinator.operations import Apply, Claim, Complete, Limit, Renew, Submit, Thaw
from coordinator.store import Store
from tests.servers import REDIS, Servers


async def measure(url: str, *, waiting: int, blocked: int, rounds: int) -> float:
    """Microseconds of server time for one claim and one complete together."""
    async with Redis.from_url(url) as redis, Store.connect(url, "{bench}") as store:
        await redis.flushall()
        await store.run(Apply(limits={"codex": 5}))
        await store.run(Thaw())
        await store.run(Renew(host="h1", incarnation="i", pools=["codex", "claude"], slots=1))
        for lane in range(blocked):  # each refused by a key of its own
            await store.run(Limit(key=f"repo:r{lane}", limit=0))
            await store.run(Submit(workspace=f"blocked/t{lane}", agent="codex", repo=f"r{lane}"))
        for start in range(0, waiting, 1000):
            batch = range(start, min(start + 1000, waiting))
            await asyncio.gather(
                *(store.run(Submit(workspace=f"w/t{at}", agent="codex", repo=f"x{at % 50}")) for at in batch)
            )
        await redis.slowlog_reset()  # every call is in it: commandstats has one line for all functions
        for seq in range(1, rounds + 1):
            claimed = await store.run(Claim(host="h1", incarnation="i", seq=seq, count=1))
            grant = claimed.grants[0]
            await store.run(Complete(workspace=grant.workspace, token=grant.token, status="completed"))
            # keeps the number waiting: what ended comes back
            await store.run(Submit(workspace=grant.workspace, agent="codex", repo=grant.repo, again=True))
        log = await redis.slowlog_get(10 * rounds)
    return sum(_median(log, verb) for verb in (b"dispatch_claim", b"dispatch_complete"))


def _median(log: list[dict[str, Any]], verb: bytes) -> float:
    return float(statistics.median(entry["duration"] for entry in log if verb in entry["command"]))


async def main(url: str, rounds: int) -> None:
    async with Redis.from_url(url) as redis:
        await redis.config_set("slowlog-log-slower-than", 0)
        await redis.config_set("slowlog-max-len", 10 * rounds)
    found = {}
    for waiting, blocked in ((100, 0), (100_000, 0), (100, 1), (100, 1000)):
        found[waiting, blocked] = await measure(url, waiting=waiting, blocked=blocked, rounds=rounds)
        print(
            f"waiting {waiting:>7,}  blocked lanes {blocked:>5,}: {found[waiting, blocked]:.1f} us for claim + complete"
        )
    print(f"ratio of 100,000 to 100 waiting: {found[100_000, 0] / found[100, 0]:.2f}")
    print(f"ratio of 1,000 to 1 blocked lanes: {found[100, 1000] / found[100, 1]:.2f}")


if __name__ == "__main__":
    servers = Servers()
    try:
        asyncio.run(main(servers.url(REDIS), int((sys.argv[1:] or ["1000"])[0])))
    finally:
        servers.stop()
