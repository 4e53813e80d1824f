"""An agent's own word on when it ran: a mark at its start and one at its end, on the clock all processes share.

`python marked.py PROGRAM ...` runs any program between two marks.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final

#: Names the file that all agents of a demo append their marks to.
MARKS: Final = "DEMO_MARKS"


def now_ns() -> int:
    """Nanoseconds since this machine started."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@contextlib.contextmanager
def marked() -> Iterator[None]:
    """Mark the start, and the end however it comes."""
    _mark("start")
    try:
        yield
    finally:
        _mark("end")


def _mark(word: str) -> None:
    told = {"mark": word, "workspace": os.environ["DISPATCH_WORKSPACE"], "pid": os.getpid(), "ns": now_ns()}
    marks = os.open(os.environ[MARKS], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(marks, json.dumps(told).encode() + b"\n")  # one write: marks of several agents never mix
    os.close(marks)


if __name__ == "__main__":
    with marked():
        code = subprocess.call(sys.argv[1:])
    sys.exit(code if code >= 0 else 128 - code)
