"""`python -m tests.model --steps N --seed S --server fake|valkey|redis`: a long run."""

import argparse
import sys

from tests.model.running import run
from tests.servers import ALL, FAKE, Servers

STEPS_EACH = 50


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    asked.add_argument("--steps", type=int, default=20_000, help="calls in all, about")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--server", choices=ALL, default=FAKE)
    options = asked.parse_args()
    servers = Servers()
    try:
        run(options.server, servers, examples=max(options.steps // STEPS_EACH, 1), steps=STEPS_EACH, start=options.seed)
    finally:
        servers.stop()
    sys.stdout.write(f"every law held: {options.server}, {options.steps} steps, seed {options.seed}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
