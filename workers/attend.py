"""How a guard begins: one question of a worker, answered by what then is the guard of its run.

Before the agent starts, the slip of its token is made exclusively: one token is started once.
"""

import contextlib
import json
import os
import select
import socket
from pathlib import Path

from workers import processes
from workers.clock import boot_ms
from workers.guard import Guard
from workers.run import Run
from workers.slip import SUFFIX, Birth, Slip


def attend(asker: socket.socket, home: Path) -> None:
    """Wait for one question on `asker`, then be the guard of the run it asks for until that has ended.

    Returns at once when the asker leaves without a question, or has left before the agent is started.
    """
    with asker:
        with asker.makefile("rb") as question:
            line = question.readline()
        if not line.endswith(b"\n"):
            return
        run, deadline_ms = Run.decode(line)
        answer, guard = _begin(run, deadline_ms, home, asker)
        with contextlib.suppress(OSError):  # an asker that is gone finds the slip
            asker.sendall(json.dumps({"refused": answer}).encode() + b"\n")
    if guard:
        guard.stand()


def _begin(run: Run, deadline_ms: int, home: Path, asker: socket.socket) -> tuple[str, Guard | None]:
    """Make the slip and start the agent; the first part says why not."""
    if boot_ms() >= deadline_ms - run.kill_grace_ms:
        return f"the lease of token {run.token} is over before its agent could start", None
    if select.select([asker], [], [], 0)[0]:
        return "the asker has left", None
    try:
        me, boot = processes.look(os.getpid()), processes.boot()
    except OSError as error:
        return f"the guard can not look at the process table: {error.strerror}", None
    if me is None:
        return "the guard can not see itself in the process table", None
    birth = Birth(me.identity, boot, run.token, run.kill_grace_ms, run.park_max_ms, run.workspace)
    try:
        slip = Slip.create(home / f"{run.token}{SUFFIX}", birth, deadline_ms)
    except FileExistsError:
        return f"token {run.token} was already started on this host", None
    except (OSError, ValueError) as error:
        return f"can not write the slip of token {run.token}: {error}", None
    guard = Guard(run, slip, me.identity, deadline_ms)
    guard.start()
    return "", guard
