"""`python -m tests.model --steps N --seed S --server fake|valkey|redis|all`: a long run; `all` compares answers."""

import argparse
import sys

from tests.model.running import run, run_together
from tests.servers import ALL, FAKE, Servers

STEPS_EACH = 50
EVERY = "all"


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    asked.add_argument("--steps", type=int, default=20_000, help="calls in all, about")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--server", choices=[*ALL, EVERY], default=FAKE)
    options = asked.parse_args()
    servers = Servers()
    try:
        examples = max(options.steps // STEPS_EACH, 1)
        if options.server == EVERY:
            run_together(ALL, servers, examples=examples, steps=STEPS_EACH, start=options.seed)
        else:
            run(options.server, servers, examples=examples, steps=STEPS_EACH, start=options.seed)
    finally:
        servers.stop()
    sys.stdout.write(f"every law held: {options.server}, {options.steps} steps, seed {options.seed}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
