"""How a process becomes a parent, and its agent a process."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from workers.run import Run

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36


def adopt_orphans() -> bool:
    """Become the parent of every orphan below this process; False where the system knows no such thing."""
    if _LIBC is None:
        return False
    _LIBC.prctl(_PR_SET_NAME, b"dispatch-guard", 0, 0, 0)
    return bool(_LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def spawn(run: Run, marks: Mapping[str, str]) -> int:
    """Start the agent in a session of its own and return its pid; OSError or ValueError say why it can not start.

    Where the system can, it is killed when this process is: also when nobody is left who would see to it. When memory
    runs out the kernel ends it, and what it started, before anything of ours.
    """
    environment = {**run.env, "DISPATCH_TOKEN": str(run.token), "DISPATCH_WORKSPACE": run.workspace, **marks}
    if not run.cwd.is_dir():
        raise NotADirectoryError(f"there is no directory {run.cwd} to work in")
    log = os.open(run.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    stdin, guard = _prompt(run.stdin), os.getpid()
    try:
        agent = subprocess.Popen(
            run.argv, stdin=stdin, stdout=log, stderr=log, cwd=run.cwd, env=environment, start_new_session=True,
            preexec_fn=lambda: _below(guard),  # noqa: PLW1509  # this process has no threads
        )  # fmt: skip
        agent.returncode = 0  # else its finalizer would collect an agent that ended at once, and its exit code with it
        return agent.pid
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no program {error.filename} on PATH {run.env.get('PATH', '')!r}") from None
    finally:
        os.close(stdin)
        os.close(log)


def _below(guard: int) -> None:
    """Be killed when the guard is, and be chosen before it, and before the worker, when memory runs out."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:  # it was killed just now
            os._exit(1)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def _prompt(text: str) -> int:
    """A descriptor the agent reads the text from, then end of file: a file without a name, not a pipe that fills up."""
    if not text:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    if sys.platform == "linux":
        descriptor = os.memfd_create("prompt", os.MFD_CLOEXEC)
    else:
        descriptor, name = tempfile.mkstemp()
        Path(name).unlink()
    left = memoryview(text.encode(errors="replace"))
    while left:
        left = left[os.write(descriptor, left) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
