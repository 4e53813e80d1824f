"""What a run leaves on the disk for others: its status.json, and lines in the root's events.jsonl."""

import json
import logging
import os
import stat
from pathlib import Path
from typing import Final

from coordinator.errors import WorkerError
from coordinator.models import Grant
from coordinator.operations.complete import Ending
from workers.finish import finished
from workers.run import Exit
from workers.slip import SUFFIX
from workers.start import running
from workers.workspace import Workspace, rfc3339

log = logging.getLogger(__name__)
EVENTS: Final = "events.jsonl"


class Journal:
    """Writes both. What is wrong with the disk is logged and ends no run."""

    def __init__(self, root: Path) -> None:
        self._path = root / EVENTS
        self._trouble = ""
        self._torn = False  # the last line did not fit on the disk

    def started(self, grant: Grant, workspace: Workspace, pid: int) -> None:
        """The agent of a grant has started."""
        try:
            running(grant, workspace, pid)
        except WorkerError as error:
            log.warning("status not written workspace=%s: %s", grant.workspace, error)
        self._append("agent_started", grant.agent, grant.workspace, "running")

    def ended(self, workspace: Workspace, told: Ending, exit_: Exit) -> None:
        """The agent of a workspace has ended. Where hosts share a root, a newer run of another may have the file."""
        found = workspace.read()
        token, agent = found.get("token"), found.get("agent")
        if isinstance(token, int) and token > (told.token or token) and self._guards_run(token):
            return
        try:
            finished(workspace, told, exit_)
        except WorkerError as error:
            log.warning("status not written workspace=%s: %s", workspace.name, error)
        self._append("agent_completed", agent if isinstance(agent, str) else "", workspace.name, told.status)

    def _guards_run(self, token: int) -> bool:
        """Whether a host of this root runs it: what an agent wrote into the file itself proves nothing."""
        return any(self._path.parent.glob(f".hosts/*/runs/{token}{SUFFIX}"))

    def _append(self, what: str, agent: str, workspace: str, status: str) -> None:
        said = {"type": what, "agent": agent, "workspace": workspace, "status": status, "timestamp": rfc3339()}
        line = b"\n" * self._torn + json.dumps(said).encode() + b"\n"
        trouble = ""
        try:
            self._torn = self._write(line) != len(line)
            trouble = "the disk is full" if self._torn else ""
        except OSError as error:
            trouble = error.strerror or str(error)
        if trouble and trouble != self._trouble:
            log.warning("no line written to %s: %s", self._path, trouble)
        self._trouble = trouble

    def _write(self, line: bytes) -> int:
        """How much of it was written, in one write. A pipe or a device in the file's place is not waited for."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        descriptor = os.open(self._path, flags, 0o644)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(0, "it is not a file")
            return os.write(descriptor, line)
        finally:
            os.close(descriptor)
