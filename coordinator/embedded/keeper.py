"""The parent of one embedded server: starts it, starts it again when it dies, stops it when the last holder has left.

It is run by its file path with the standard library alone, so it costs little and imports nothing of the coordinator.
Who lives is told by three locks, each on a thing that stays anyway, so that no lock file is left behind:
    the directory    shared: a holder; exclusive: the keeper while it stops the server
    appendonlydir/   exclusive: the keeper, all its life
    redis.conf       exclusive: the keeper and the server, which inherits it; the server alone if the keeper was killed
"""

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

CONFIG, DATA, LOG, PLACE, SOCKET = "redis.conf", "appendonlydir", "redis.log", "server.json", "redis.sock"
LOADING_MAX = 60.0
"""Seconds a server may take to load its data before its start counts as failed."""
STOP_MAX = 10.0
"""Seconds a server may take to save and end before it is killed; its append-only file is at most a second behind."""
_LONGEST_SOCKET = 100  # bytes; the kernel's limit is 108 on Linux and 104 on macOS, its closing zero included


class Place(NamedTuple):
    """Where the server of a data directory listens; remembered over restarts."""

    port: int
    socket: str

    @classmethod
    def read(cls, directory: Path) -> "Place":
        """The remembered place; the usual one, with any port, when none is remembered."""
        try:
            row = json.loads((directory / PLACE).read_text())
            return cls(int(row["port"]), str(row["socket"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(0, str(directory / SOCKET))

    def write(self, directory: Path) -> None:
        fresh = directory / f"{PLACE}.new"
        fresh.write_text(json.dumps(self._asdict(), indent=2) + "\n")
        fresh.replace(directory / PLACE)  # a reader sees the old place or the new one, never half of it


def ask(path: str, command: str) -> str:
    """One command in the inline form, and its answer without the type mark; OSError when none comes within a second."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(1.0)
        line.connect(path)
        line.sendall(command.encode() + b"\r\n")
        with line.makefile("rb") as answers:
            head = answers.readline()
            body = answers.read(int(head[1:])) if head.startswith(b"$") else head[1:].strip()
    if not head:
        raise ConnectionError("the server closed the connection")
    return os.fsdecode(body)


def is_private(directory: Path, owner: int) -> bool:
    """Whether only this owner can put a socket there: elsewhere in the temp directory anyone could pose as us."""
    try:
        info = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == owner and not info.st_mode & 0o077


def clear_socket(directory: Path) -> None:
    """Take away what a stopped server may leave outside the data: its socket, and the directory made for that alone."""
    path = Path(Place.read(directory).socket)
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        if path.parent != directory:
            path.parent.rmdir()


class Keeper:
    """One server and the thread that starts it again. Starting and stopping exclude each other by `_turn`."""

    def __init__(self, directory: Path, program: str, server_lock: int) -> None:
        self._directory, self._program, self._server_lock = directory, program, server_lock
        self._turn = threading.Lock()
        self._stopping = threading.Event()
        self._server: subprocess.Popen[bytes] | None = None
        self._place = Place.read(directory)

    def start(self) -> None:
        """Start the server and return when it has loaded its data; OSError with the reason when it can not."""
        for _ in range(3):  # the port may be taken between our look and the server's
            port = _free_port(self._place.port)
            self._place = Place(port, str(self._socket()))
            self._place.write(self._directory)  # before the start: whoever clears up after a failed one reads it
            self._configure()
            config = str(self._directory / CONFIG)
            with self._turn:
                if self._stopping.is_set():
                    return
                self._server = subprocess.Popen(
                    [self._program, config], cwd=self._directory, pass_fds=[self._server_lock], stdout=2, stderr=2
                )
            if self._answers(self._server):
                return
            if _free_port(port) == port:
                break
        raise OSError(_last_words(self._directory / LOG))

    def keep(self) -> None:
        """Start the server again whenever it ends; one that ends at once is tried ever more rarely."""
        pause = 0.05
        while (server := self._server) and not self._stopping.is_set():
            began = time.monotonic()
            server.wait()
            pause = 0.05 if time.monotonic() - began > 10 else min(pause * 2, 5.0)
            if not self._stopping.wait(pause):
                with contextlib.suppress(OSError):  # its reason is in the log
                    self.start()

    def stop(self) -> None:
        """End the server with its data saved."""
        with self._turn:
            self._stopping.set()
        if self._server is None:
            return
        self._server.terminate()
        try:
            self._server.wait(STOP_MAX)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        clear_socket(self._directory)

    def _answers(self, server: subprocess.Popen[bytes]) -> bool:
        until = time.monotonic() + LOADING_MAX
        while server.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError):
                if ask(self._place.socket, "PING") == "PONG":
                    return True
            time.sleep(0.005)
        server.kill()
        server.wait()
        return False

    def _socket(self) -> Path:
        """In the data directory, or in a private directory under the temp directory when that path is too long."""
        near, far = self._directory / SOCKET, Path(self._place.socket)
        if len(os.fsencode(near)) <= _LONGEST_SOCKET:
            return near
        if far.parent.name.startswith("coordinator-"):
            with contextlib.suppress(OSError):
                far.parent.mkdir(mode=0o700)
            if is_private(far.parent, os.geteuid()):
                return far
        short = tempfile.gettempdir()
        made = tempfile.mkdtemp(prefix="coordinator-", dir=short if len(os.fsencode(short)) < 70 else "/tmp")  # noqa: S108  # private
        return Path(made) / SOCKET

    def _configure(self) -> None:
        """Written in place, because the lock belongs to this file.

        The data is kept as plain commands (no preamble): the other program, or an older release, can go on with it.
        """
        text = (
            f"dir ./\nappenddirname {DATA}\nbind 127.0.0.1\nport {self._place.port}\n"
            f'unixsocket "{_escaped(self._place.socket)}"\nunixsocketperm 600\n'
            'appendonly yes\nappendfsync everysec\naof-use-rdb-preamble no\nsave ""\nmaxmemory-policy noeviction\n'
            "daemonize no\nset-proc-title no\ntcp-backlog 128\n"
        )
        (self._directory / CONFIG).write_text(text)


def _escaped(path: str) -> str:
    """As the server's configuration file wants it between double quotes."""
    return "".join(
        chr(byte) if re.match(rb"[\w./-]", bytes([byte])) else f"\\x{byte:02x}" for byte in os.fsencode(path)
    )


def _free_port(wanted: int) -> int:
    """The wanted port when it is free on the loopback interface, else another free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] or ["it said nothing"]
    return re.sub(r"^\d+:\w .*?\d\d:\d\d:\d\d\.\d+ [*#.-] ", "", lines[-1])


def _leave(*_: Any) -> NoReturn:
    raise SystemExit(0)


def main(directory: Path, program: str, keeper_lock: int, server_lock: int) -> None:
    """Keep the server until no holder is left, or until SIGTERM.

    Standard output is a pipe: `ready`, or the reason why not, and its end when there is nothing more to wait for.
    """
    if os.fork():
        os._exit(0)  # the keeper outlives the holder that started it, and must not wait for it as its zombie
    signal.signal(signal.SIGTERM, _leave)
    holders = os.open(directory, os.O_RDONLY)
    keeper = Keeper(directory, program, server_lock)
    try:
        failure = ""
        try:
            keeper.start()
        except OSError as error:
            failure = str(error)
        with contextlib.suppress(BrokenPipeError):  # the one who asked is gone; another holder may be there
            os.write(1, (failure or "ready").encode(errors="replace"))
        if not failure:
            os.dup2(2, 1)  # closes the pipe; after a failure it closes when this process ends, with nothing left behind
            threading.Thread(target=keeper.keep, daemon=True).start()
            fcntl.flock(holders, fcntl.LOCK_EX)
    finally:
        keeper.stop()
        os.close(keeper_lock)  # before the holders' lock: who gets that next must find no keeper


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
