"""One process of a demo's fleet, on a leash: `python -m coordinator.doors.demo.member worker run ...`.

It is the very command `coordinator` or `worker`. When its stdin ends, because the demo closed it or is gone, it stops.
"""

import importlib
import os
import signal
import sys
import threading
from typing import Final

_COMMANDS: Final = {"coordinator": "coordinator.doors.cli", "worker": "workers.cli"}


def main() -> None:
    """Run the command that the arguments name."""
    threading.Thread(target=_leash, daemon=True).start()
    del sys.argv[0]
    importlib.import_module(_COMMANDS[sys.argv[0]]).main()


def _leash() -> None:
    while os.read(0, 64):
        pass
    for number in (signal.SIGTERM, signal.SIGINT):  # a worker: quiet, then stop
        os.kill(os.getpid(), number)


if __name__ == "__main__":
    main()
