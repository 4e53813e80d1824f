"""A Redis of one test that is killed and comes back: with its file, with an older one, or with nothing."""

import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

from tests import servers
from tests.waiting import wait_until_sync


class Forgetful:
    """Use as a context. It writes every change to its file before it answers."""

    def __init__(self, place: Path, **options: str) -> None:
        self._place, self._options = place, options
        self._data, self._kept = place / "data", place / "kept"
        self.url = f"unix://{place / 's'}"

    def __enter__(self) -> Self:
        self._place.mkdir()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, *, wait: bool = True, **more: str) -> None:
        """Start it on what lies there, once with more options; `wait` until it answers."""
        self._data.mkdir(exist_ok=True)
        options = {"port": "0", "unixsocket": str(self._place / "s"), "save": "", "dir": str(self._data)}
        options |= {"appendonly": "yes", "appendfsync": "always", **self._options, **more}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        with (self._place / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [str(servers.program(servers.REDIS)), *words],
                stdout=log,
                stderr=log,
                preexec_fn=servers.die_with_parent,  # noqa: PLW1509  # the child only makes one system call
            )
        if wait:
            wait_until_sync(lambda: servers.answers(self.url), "the server answers")

    def kill(self) -> None:
        """With -9, at once."""
        self._server.kill()
        self._server.wait()

    def signal(self, number: signal.Signals) -> None:
        """Stop it, or let it go on."""
        self._server.send_signal(number)

    def keep(self) -> None:
        """What lies there now is what it can be made to come back with."""
        shutil.copytree(self._data, self._kept)

    def go_back(self) -> None:
        """While it is dead: it has lost what came after `keep`, or all."""
        shutil.rmtree(self._data)
        if self._kept.exists():
            self._kept.rename(self._data)
