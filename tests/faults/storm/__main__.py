"""`python -m tests.faults.storm --minutes 30 --seed 1`: exit code 1 where a promise was broken.

On stderr a running count and each violation with the misfortunes before it; at the end a report on stdout.
"""

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

from tests.faults.storm import report, weather
from tests.faults.storm.fleet import StormFleet
from tests.faults.storm.ledger import Ledger
from tests.faults.storm.storm import Storm
from tests.forgetful import Forgetful
from tests.waiting import wait_until

PAUSE_S = 0.9  # from one misfortune to the next, in the middle


async def storm_over(place: Path, seconds: float, seed: int, pause: float = PAUSE_S, only: str = "") -> Storm:
    """A storm that is over, in a directory of its own; what its processes left behind is a violation too.

    `only`: words of which each kind of misfortune has one in its name; empty for all kinds.
    """
    kinds = [kind for kind in weather.KINDS if not only or any(word in kind.name for word in only.split(","))]
    ledger = Ledger()
    with Forgetful(place / "server") as server:
        fleet = StormFleet(server, place, ledger)
        storm = Storm(fleet, ledger, seed)
        async with fleet:
            ledger.begin()
            await weather.run(storm, seconds, pause, kinds)
        with contextlib.suppress(AssertionError):  # a fork server that nobody needs goes by itself, a little later
            await wait_until(lambda: not [*fleet.strays()], "nothing lives", 10, every=0.2)
        for left in (*fleet.strays(), *fleet.files_left()):
            storm.violated(f"left behind: {left}")
    return storm


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.storm")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=PAUSE_S, help="seconds from one misfortune to the next")
    parser.add_argument("--only", default="", help="kinds with one of these words, as `worker,replica`")
    parser.add_argument("--keep", action="store_true", help="leave the directory, with all logs, where it is")
    asked = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="storm-"))
    print(f"in {place}", file=sys.stderr)
    storm = asyncio.run(storm_over(place, asked.minutes * 60, asked.seed, asked.pause, asked.only))
    print("\n".join(report.lines(storm, asked.seed, asked.minutes)))
    if not asked.keep and not storm.violations:
        shutil.rmtree(place)
    return 1 if storm.violations else 0


if __name__ == "__main__":
    sys.exit(main())
