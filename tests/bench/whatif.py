"""Whether what is said to start with another limit is what then starts: `python -m tests.bench.whatif [1000] [seed]`.

On a real Redis, in so many random states. The first that differs ends it, with the number of its state.
"""

import sys
import time

from tests.model import build
from tests.model.supposing import try_states
from tests.model.world import World
from tests.servers import REDIS, Servers


def main(count: int, seed: int) -> None:
    """Prints what was tried."""
    servers, began = Servers(), time.monotonic()
    world = World(REDIS, servers, build.text())
    try:
        sums = try_states(world, range(seed, seed + count))
    finally:
        world.close()
        servers.stop()
    print(
        ", ".join(f"{name}: {value}" for name, value in sums.items()), f"- all agree, {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main(int(next(iter(sys.argv[1:2]), 1000)), int(next(iter(sys.argv[2:3]), 1)))
