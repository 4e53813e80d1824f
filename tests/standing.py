"""Where a process of a test stands, when it does not go on: every task of its loop, and every thread."""

import asyncio
import contextlib
import faulthandler
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.waiting import wait_until_sync

_TOLD = "--- that is all"
_WITHIN_S = 3.0


def tell_when_asked() -> None:
    """In the process: SIGUSR2 has it write where it stands, to its standard error."""
    signal.signal(signal.SIGUSR2, _tell)


def _tell(*_: object) -> None:
    with contextlib.suppress(RuntimeError):  # no loop runs
        for task in asyncio.all_tasks():
            print(task.get_name(), *_awaits(task.get_coro()), sep=" > ", file=sys.stderr)
    faulthandler.dump_traceback(file=sys.stderr)
    print(_TOLD, file=sys.stderr, flush=True)


def _awaits(coroutine: Any) -> Iterator[str]:
    """The lines at which it and what it awaits stand, the innermost last."""
    while frame := getattr(coroutine, "cr_frame", None):
        yield f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}"
        coroutine = coroutine.cr_await
    yield repr(coroutine)[:100]


def ask(process: subprocess.Popen[bytes], log: Path) -> str:
    """In the test: what it then writes to its log. Nothing: it hangs in a call, stands still, or has ended."""
    before = len(log.read_text())
    if process.poll() is None:
        process.send_signal(signal.SIGUSR2)
        with contextlib.suppress(AssertionError):
            wait_until_sync(lambda: _TOLD in log.read_text(), "it tells where it stands", _WITHIN_S)
    return log.read_text()[before:]
