"""A private server for one machine: found by every command of a workspace root, alive while a process holds it.

The server's parent is a keeper process in a session of its own (keeper.py), so Ctrl-C in a terminal ends holders and
not the server. A holder may not fork without exec while it holds: the child would hold too.
"""

import contextlib
import fcntl
import logging
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from coordinator.embedded import keeper, launch
from coordinator.errors import CoordinatorError, StoreUnavailable, StoreUnusable

log = logging.getLogger(__name__)

_SETTLING_MAX = 5.0  # seconds a keeper gets to start its server again before `find` calls it broken


@dataclass(frozen=True)
class Server:
    """A live embedded server: `url` is for our own processes, `tcp_url` for programs that know no unix sockets."""

    url: str
    tcp_url: str
    socket: Path
    pid: int
    program: str
    directory: Path

    @property
    def cli(self) -> str:
        """The line a person types to talk to it."""
        return f"redis-cli -p {self.tcp_url.rpartition(':')[2]}"


def find(root: Path) -> Server | None:
    """The live server of a workspace root, or None; never starts one. StoreUnavailable when it lives but is mute."""
    data = _directory(root)

    def settled() -> tuple[Server | None] | None:
        kept = launch.is_kept(data)  # asked first: a keeper that is gone by now has left a server, or none, for good
        server = _look(data)
        return (server,) if server or not kept else None

    return launch.until(settled, _SETTLING_MAX, _mute(data))[0]


@contextlib.contextmanager
def hold(root: Path) -> Iterator[Server]:
    """Start the server of this root or join it; it lives until its last holder has left, also one killed with -9.

    Leaving as the last one returns when the server has saved its data and ended. Raises StoreUnusable when there is no
    server program or no place for the data, StoreUnavailable when the server does not come up.
    """
    data = _prepared(root)
    holders = os.open(data, os.O_RDONLY)
    try:
        launch.until(
            lambda: launch.take(holders, fcntl.LOCK_SH), 2 * keeper.STOP_MAX, _mute(data)
        )  # it may be stopping
        server = launch.until(lambda: _joined(data), keeper.LOADING_MAX, _mute(data))
        leaving = threading.Event()
        healer = threading.Thread(target=_heal, args=(data, leaving), name="embedded-heal", daemon=True)
        healer.start()
        try:
            yield server
        finally:
            leaving.set()
            healer.join()
            launch.until(lambda: _has_left(data, holders), 2 * keeper.STOP_MAX, _mute(data))
    finally:
        os.close(holders)


def _directory(root: Path) -> Path:
    return root.expanduser().resolve() / ".coordinator" / "redis"


def _prepared(root: Path) -> Path:
    data = _directory(root)
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        data.chmod(0o700)
        (data / keeper.DATA).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        reason = f"{data} can not be the embedded server's directory ({error.strerror})"
        raise StoreUnusable(f"{reason}: choose another --root, or set REDIS_URL") from error
    return data


def _mute(data: Path) -> str:
    return f"the embedded server does not answer: look into {data / keeper.LOG}"


def _look(data: Path) -> Server | None:
    """The server that answers on the remembered socket, when it runs from this very directory."""
    socket = Path(keeper.Place.read(data).socket)
    try:
        if not keeper.is_private(socket.parent, data.stat().st_uid):
            return None
        told = keeper.ask(str(socket), "INFO server")
    except TimeoutError as error:
        raise StoreUnavailable(_mute(data)) from error
    except OSError:
        return None
    facts = dict(re.findall(r"^(\w+):([^\r]*)\r", told, re.MULTILINE))
    if facts.get("config_file") != str(data / keeper.CONFIG):
        return None
    return Server(
        url=f"unix://{quote(str(socket))}",
        tcp_url=f"redis://127.0.0.1:{facts['tcp_port']}",
        socket=socket,
        pid=int(facts["process_id"]),
        program=facts["executable"],
        directory=data,
    )


def _joined(data: Path) -> Server | None:
    """One try to have a server that is kept and has loaded its data."""
    launch.ensure_kept(data)
    with contextlib.suppress(OSError):
        if keeper.ask(keeper.Place.read(data).socket, "PING") == "PONG":
            return _look(data)
    return None


def _heal(data: Path, leaving: threading.Event) -> None:
    """Replace a keeper that was killed, while this holder lives; after a failure ever more rarely."""
    pause = 1.0
    while not leaving.wait(pause):
        try:
            launch.ensure_kept(data)
            pause = 1.0
        except (CoordinatorError, OSError) as error:
            pause = min(pause * 2, 60.0)
            log.warning("server-not-kept directory=%s error=%s", data, error)


def _has_left(data: Path, holders: int) -> bool:
    """Let go; True when another process holds on, or nothing lives any more."""
    alone = launch.take(holders, fcntl.LOCK_EX)
    others = not alone and launch.take(holders, fcntl.LOCK_SH)  # neither can be had while the keeper stops the server
    fcntl.flock(holders, fcntl.LOCK_UN)
    return others or launch.is_gone(data)
