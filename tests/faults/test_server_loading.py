"""A server that comes back with a large file: until it is read nobody is answered, and nobody gives up."""

from pathlib import Path

from redis.asyncio import Redis

from coordinator.operations import Submit
from tests import record
from tests.fleet import Fleet
from tests.forgetful import Forgetful
from tests.gates import Gate
from tests.servers import answers
from tests.waiting import wait_until

SHORT: dict[str, object] = {"lease_ttl": "30s", "beat": "500ms", "kill_grace": "2s"}


async def test_all_wait_until_it_has_read_its_file(tmp_path: Path) -> None:
    names, gate = [f"a/{at}" for at in range(4)], Gate(tmp_path / "gate")
    with Forgetful(tmp_path / "server") as server:
        async with Fleet(server.url, tmp_path, {"codex": 3}, None, **SHORT) as fleet:
            await fleet.begin(4)
            for name in names:
                await fleet.store.run(Submit(workspace=name, agent="codex", task=str(gate.path)))
            await wait_until(lambda: len(record.written(fleet.marks)) == 3, "three run")
            await fill(server.url)
            server.kill()
            server.start(wait=False, **{"key-load-delay": "300"})
            gate.open()
            await wait_until(lambda: all_wait(fleet), "replica and worker wait", 20, 0.05)
            assert record.killed(record.written(fleet.marks)) == []
            await wait_until(lambda: answers(server.url), "it has read its file", 30, 0.05)
            for name in names:
                await fleet.becomes(name, "completed", deadline=20)
            assert record.broken(record.written(fleet.marks), {"codex": 3}, names) == []
            assert {name: (await fleet.record(name)).runs for name in names} == dict.fromkeys(names, 1)


def all_wait(fleet: Fleet) -> bool:
    return all("is loading its data" in fleet.said(name) for name in fleet.processes)


async def fill(url: str) -> None:
    """So much that reading it takes some seconds."""
    async with Redis.from_url(url) as redis, redis.pipeline(transaction=False) as pipe:
        for at in range(16_000):
            pipe.set(f"other:{at}", "")
        await pipe.execute()
