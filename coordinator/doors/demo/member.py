"""One process of a demo's fleet, on a leash: `python -m coordinator.doors.demo.member worker run ...`.

It is the very command `coordinator` or `worker`. When its stdin ends, because the demo closed it or is gone, it stops.
"""

import os
import signal
import sys
import threading

from coordinator.doors import cli as coordinator_cli
from workers import cli as worker_cli


def main() -> None:
    """Run the command that the arguments name."""
    threading.Thread(target=_leash, daemon=True).start()
    del sys.argv[0]
    (worker_cli if sys.argv[0] == "worker" else coordinator_cli).main()


def _leash() -> None:
    while os.read(0, 64):
        pass
    for number in (signal.SIGTERM, signal.SIGINT):  # a worker: quiet, then stop
        os.kill(os.getpid(), number)


if __name__ == "__main__":
    main()
