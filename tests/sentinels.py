"""A primary, its replica and their sentinels as real processes, and what can befall them."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError

from tests import servers
from tests.ports import free_port
from tests.waiting import wait_until_sync

NAME = "main"


class Watched:
    """Use as a context. `url` is what a client needs to find the primary, whichever that is."""

    def __init__(self, place: Path, sentinels: int, down_after_ms: int = 500) -> None:
        self._place, self._down_after_ms = place, down_after_ms
        self.primary, self.replica = free_port(), free_port()
        self.sentinels = [free_port() for _ in range(sentinels)]
        self.url = self.url_of(*self.sentinels)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @staticmethod
    def url_of(*sentinels: int) -> str:
        return f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in sentinels)}/{NAME}/0"

    def __enter__(self) -> Self:
        self._place.mkdir()
        self._start(self.primary, "repl-diskless-sync-delay 0")
        self._start(self.replica, f"replicaof 127.0.0.1 {self.primary}")
        self._until(self.replica, lambda info: info.get("master_link_status") == "up", "the replica follows")
        quorum = len(self.sentinels) // 2 + 1
        watch = [
            f"sentinel monitor {NAME} 127.0.0.1 {self.primary} {quorum}",
            f"sentinel down-after-milliseconds {NAME} {self._down_after_ms}",
            f"sentinel failover-timeout {NAME} 5000",
        ]
        for port in self.sentinels:  # each hears of the replica with its first look at the primary
            self._start(port, *watch, options=("--sentinel",))
        seen = f"status=ok,address=127.0.0.1:{self.primary},slaves=1,sentinels={len(self.sentinels)}"
        for port in self.sentinels:
            self._until(port, lambda info: seen in _text(info), "the sentinels know each other and the replica")
        return self

    def __exit__(self, *_: object) -> None:
        for port in self._processes:
            self.kill(port)

    def kill(self, port: int) -> None:
        """With -9, at once."""
        self._processes[port].kill()
        self._processes[port].wait()

    def part(self) -> None:
        """The replica is told nothing any more; the sentinels still see it."""
        with Redis(port=self.primary) as primary:
            primary.acl_setuser("default", enabled=True, commands=["-psync", "-sync"])
            primary.execute_command("CLIENT", "KILL", "TYPE", "replica")
        self._until(self.replica, lambda info: info.get("master_link_status") == "down", "it hears nothing")

    def _start(self, port: int, *lines: str, options: tuple[str, ...] = ()) -> None:
        place = self._place / str(port)
        place.mkdir()
        config = place / "conf"
        config.write_text("\n".join([f"port {port}", f"dir {place}", "bind 127.0.0.1 -::1", *lines, ""]))
        if not options:
            options = ("--save", "", "--appendonly", "no")
        with (place / "log").open("ab") as log:
            self._processes[port] = subprocess.Popen(
                [str(servers.program(servers.REDIS)), str(config), *options],
                stdout=log,
                stderr=log,
                preexec_fn=servers.die_with_parent,  # noqa: PLW1509  # the child only makes one system call
            )
        self._until(port, bool, "it answers")

    def _until(self, port: int, fits: Callable[[dict[str, Any]], bool], description: str) -> None:
        """Wait until what INFO says fits."""

        def there() -> bool:
            try:
                with Redis(port=port) as client:
                    return fits(client.info())
            except RedisError:
                return False

        wait_until_sync(there, description, 20)


def _text(info: dict[str, Any]) -> str:
    """What a sentinel says of its primary, as one line."""
    said = info.get("master0", {})
    return ",".join(f"{name}={said.get(name)}" for name in ("status", "address", "slaves", "sentinels"))
