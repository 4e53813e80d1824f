"""Seconds to bring a tree of 2,000 workspaces into an empty registry, and again when all of it is known.

`python -m tests.bench.hydrate [N]`: below 5 s for 2,000. What the server spends on one question of 64 and of 256 is
from its own log of calls.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from redis.asyncio import Redis

from coordinator.operations import Track
from coordinator.store import Store
from tests.servers import REDIS, Servers
from tests.trees import many
from workers.hydrate import hydrate, look
from workers.tree import walk


async def main(url: str, count: int, root: Path) -> None:
    many(root, count)
    started = time.perf_counter()
    walk(root)
    print(f"walk of {count:,}: {time.perf_counter() - started:.2f} s")
    async with Redis.from_url(url) as redis, Store.connect(url, "{bench}") as store:
        for what in ("new", "known"):
            started = time.perf_counter()
            done = await hydrate(store, root, "h1")
            took = time.perf_counter() - started
            print(f"hydrate of {count:,}, all {what}: {took:.2f} s (new {done.new}, changed {done.changed})")
        said = look(root).said
        for size in (64, 256):
            await redis.flushall()
            await redis.config_set("slowlog-log-slower-than", 0)
            await redis.slowlog_reset()
            await store.run(Track(workspaces=said[:size], host="h1"))
            [entry] = [one for one in await redis.slowlog_get(20) if b"dispatch_track" in one["command"]][:1]
            print(f"one question of {size}: {entry['duration'] / 1000:.1f} ms of the server's time")


if __name__ == "__main__":
    servers = Servers()
    try:
        with tempfile.TemporaryDirectory() as directory:
            asyncio.run(main(servers.url(REDIS), int((sys.argv[1:] or ["2000"])[0]), Path(directory)))
    finally:
        servers.stop()
