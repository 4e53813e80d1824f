"""Pipes at which agents of `marked.sh` wait: they run for as long as the test needs, and cost nothing meanwhile."""

import os
from pathlib import Path

from tests.waiting import wait_until_sync


class Gate:
    """Agents whose task is `path` run until it is opened; those that come later do not wait."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)

    def open(self) -> None:
        """Let go whoever waits here."""
        if not self.path.exists():
            return
        away = self.path.rename(self.path.with_suffix(".open"))

        def none_waits() -> bool:
            try:
                os.close(os.open(away, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:  # nobody reads
                return True
            return False

        wait_until_sync(none_waits, "all have gone on")
