"""Others take every connection that a server has to give, while agents run; later they let go."""

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Self

import pytest
from redis.asyncio import Redis

from coordinator.errors import StoreUnavailable
from coordinator.operations import GetStatus, Submit
from coordinator.store import Store
from tests import record
from tests.fleet import Fleet
from tests.forgetful import Forgetful
from tests.gates import Gate
from tests.waiting import wait_until

SHORT: dict[str, object] = {"lease_ttl": "30s", "beat": "500ms", "kill_grace": "2s"}
MOST = 40
OURS = "dispatch-coordinator"
SAYS = "has no connection left|can not be reached"  # it hangs up, and who writes just then does not hear why


class Crowd:
    """Use as a context. It takes every free connection."""

    def __init__(self, url: str) -> None:
        self._path = url.removeprefix("unix://")
        self._taken: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._taken:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def take(self) -> None:
        """Until the server refuses one."""
        refused = False
        while not refused:
            reader, writer = await asyncio.open_unix_connection(self._path)
            self._taken.append(writer)
            try:
                writer.write(b"PING\r\n")
                refused = b"max number of clients" in await reader.readline()
            except OSError:  # it has hung up already
                refused = True


async def drive_out(redis: Redis, crowd: Crowd) -> bool:
    """End the connections of replicas and workers, and take their places. Whether they have none any more."""
    ours = [client for client in await redis.client_list() if client["name"] == OURS]
    for client in ours:
        await redis.client_kill_filter(_id=client["id"])
    await crowd.take()
    return not ours


async def test_who_finds_no_connection_waits_and_no_ending_is_lost(tmp_path: Path) -> None:
    names, gate = [f"a/{at}" for at in range(5)], Gate(tmp_path / "gate")
    with Forgetful(tmp_path / "server", maxclients=str(MOST)) as server:
        async with (
            Fleet(server.url, tmp_path, {"codex": 3}, None, **SHORT) as fleet,
            Redis.from_url(server.url) as redis,
        ):
            await fleet.begin(4)
            for name in names:
                await fleet.store.run(Submit(workspace=name, agent="codex", task=str(gate.path)))
            await wait_until(lambda: len(record.written(fleet.marks)) == 3, "three run")
            async with Crowd(server.url) as crowd:
                await wait_until(lambda: drive_out(redis, crowd), "nobody of ours is connected")
                gate.open()
                await wait_until(lambda: all_wait(fleet), "replica and worker wait", 20, 0.05)
                async with Store.connect(server.url, "{t}") as store:
                    with pytest.raises(StoreUnavailable, match=SAYS):
                        await store.run(GetStatus())
                assert record.killed(record.written(fleet.marks)) == []
            for name in names:
                await fleet.becomes(name, "completed", deadline=20)
            assert record.broken(record.written(fleet.marks), {"codex": 3}, names) == []
            assert {name: (await fleet.record(name)).runs for name in names} == dict.fromkeys(names, 1)


def all_wait(fleet: Fleet) -> bool:
    return all(re.search(f"waits: .*({SAYS})", fleet.said(name)) for name in fleet.processes)
