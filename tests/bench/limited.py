"""What happens when all agents of one pool meet the same usage limit at once, and how the pool goes on after it.

`python -m tests.bench.limited [--agents 100]`: on a real server whose clock is a key. Prints what the limit left behind
and when the clock let how many start again: with agents that go on working, and with agents that end after a second.
"""

import argparse
import sys
import time

from coordinator import operations as ops
from tests.model import build
from tests.model.world import ROOT, START, World
from tests.ramping import POOL, Pool, facts, go_on, meet_a_limit
from tests.servers import REDIS, Servers

RETRY_AFTER = 3600  # seconds


def _pool(world: World, agents: int) -> Pool:
    world.set_clock(START)
    world.ask(ops.Thaw())
    world.ask(ops.Renew(host="h1", incarnation="i", pools=[POOL], slots=min(agents, 1024)))
    return Pool(world)


def measure(servers: Servers, agents: int, *, alive: bool) -> None:
    world = World(REDIS, servers, build.text())
    pool = _pool(world, agents)
    began = time.perf_counter()
    order = meet_a_limit(pool, agents, RETRY_AFTER)
    took = time.perf_counter() - began
    attempts = [world.redis.hget(f"{ROOT}:workspace:{name}", "attempt") for name in order]
    sys.stdout.write(
        f"{agents} agents met one limit ({took * 1000:.0f} ms for all calls): "
        f"gates {world.redis.hgetall(f'{ROOT}:backoff')}, "
        f"RateLimitDetected {len(facts(world, 'RateLimitDetected'))}, "
        f"back in their old order: {pool.waiting() == order}, "
        f"attempts spent: {sum(int(str(one)) for one in attempts)}\n"
    )
    reset = START + RETRY_AFTER * 1000
    for at, names in go_on(pool, alive=alive):
        sys.stdout.write(f"  {(at - reset) / 1000:8.3f} s after the reset: {len(names)} start\n")
    world.close()


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.bench.limited", description=__doc__)
    asked.add_argument("--agents", type=int, default=100)
    agents = asked.parse_args().agents
    servers = Servers()
    try:
        for alive in (True, False):
            sys.stdout.write("agents that go on working:\n" if alive else "agents that end after a second:\n")
            measure(servers, agents, alive=alive)
    finally:
        servers.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
