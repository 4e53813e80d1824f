"""`python -m tests.model --steps N --seed S --server fake|valkey|redis|all --jobs J`: a long run; `all` compares.

It goes in parts, each with a seed of its own, so it may last for days and grows no memory.
"""

import argparse
import sys
import time
import traceback
from multiprocessing import Event, Process, SimpleQueue
from multiprocessing.synchronize import Event as Flag
from typing import Final, NamedTuple

from redis import Redis

from tests.model.base import Base
from tests.model.running import run, run_together
from tests.model.world import World
from tests.servers import ALL, FAKE, Servers, die_with_parent

STEPS_EACH: Final = 50
EXAMPLES: Final = 40  # of a part
APART: Final = 1_000_000  # between the seeds of two parts
EVERY: Final = "all"


class Part(NamedTuple):
    """What one part did, or how it failed."""

    seed: int
    server: str
    steps: int = 0
    calls: int = 0
    failed: str = ""


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    asked.add_argument("--steps", type=int, default=20_000, help="rules in all; each asks one verb or several")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--server", choices=[*ALL, EVERY], default=FAKE)
    asked.add_argument("--jobs", type=int, default=1, help="processes, each with servers of its own")
    options = asked.parse_args()
    parts: SimpleQueue[Part | None] = SimpleQueue()
    ends = Event()
    workers = [Process(target=_work, args=(options, number, parts, ends)) for number in range(options.jobs)]
    for worker in workers:
        worker.start()
    begun, steps, calls, running, server, failed = time.monotonic(), 0, 0, options.jobs, "", None
    while running:
        if not (part := parts.get()):
            running -= 1
            continue
        steps, calls, server = steps + part.steps, calls + part.calls, part.server
        failed = part if part.failed else failed
        each = calls / (time.monotonic() - begun)
        sys.stderr.write(f"\r{steps} of {options.steps} steps, {calls} calls, {each:.0f} calls a second ")
        sys.stderr.flush()
        if failed:
            ends.set()
    took = time.monotonic() - begun
    if failed:
        again = f"--seed {failed.seed} --steps {EXAMPLES * STEPS_EACH} --server {options.server}"
        sys.stdout.write(f"\n{failed.failed}\na law was broken; python -m tests.model {again} comes to it again\n")
        return 1
    on = f"{server}, {steps} steps, {calls} calls, seed {options.seed}, {options.jobs} processes"
    sys.stdout.write(f"\nevery law held: {on}, {took // 60:.0f} min {took % 60:.0f} s\n")
    return 0


def _work(options: argparse.Namespace, number: int, parts: "SimpleQueue[Part | None]", ends: Flag) -> None:
    die_with_parent()
    servers = Servers()
    try:
        server, mine = _name(options.server, servers), options.steps // options.jobs
        examples = max(min(EXAMPLES, mine // STEPS_EACH), 1)
        while Base.steps < mine and not ends.is_set():
            seed = options.seed + number * APART
            steps, calls = Base.steps, World.calls
            try:
                if options.server == EVERY:
                    run_together(ALL, servers, examples=examples, steps=STEPS_EACH, start=seed)
                else:
                    run(options.server, servers, examples=examples, steps=STEPS_EACH, start=seed)
            except BaseException:  # noqa: BLE001  # also a mistake of the model ends the run
                parts.put(Part(seed, server, failed=traceback.format_exc()))
                return
            parts.put(Part(seed, server, Base.steps - steps, World.calls - calls))
            number += options.jobs
    finally:
        parts.put(None)
        servers.stop()


def _name(kind: str, servers: Servers) -> str:
    if kind in (FAKE, EVERY):
        return kind
    with Redis.from_url(servers.url(kind), decode_responses=True) as client:
        told = client.info("server")
    return f"{kind} {told.get('valkey_version', told['redis_version'])}"


if __name__ == "__main__":
    sys.exit(main())
