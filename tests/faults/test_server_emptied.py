"""A server that is killed and comes back with nothing, while fifty agents run."""

from pathlib import Path

from coordinator.operations import BackOff, Backup
from tests.fifty import FIRST, NEXT, all_are_told_once, ended, fifty, submit
from tests.fleet import Fleet
from tests.forgetful import Forgetful
from tests.waiting import wait_until


async def test_hosts_tell_it_what_runs_and_replicas_what_was_set(tmp_path: Path) -> None:
    with Forgetful(tmp_path / "server") as server:
        async with fifty(server.url, tmp_path) as (fleet, first, last):
            await remembered(fleet)
            before = await fleet.store.run(Backup())
            server.kill()
            server.go_back()
            first.open()
            await ended(fleet, len(FIRST))
            server.start()
            await fleet.becomes_known("last/0", "running")
            await submit(fleet, NEXT, "0.2")
            await ended(fleet, len(FIRST) + len(NEXT))
            last.open()
            await all_are_told_once(fleet)
            after = await fleet.store.run(Backup())
            assert (after.limits, after.gates, after.settings) == (before.limits, before.gates, before.settings)


async def remembered(fleet: Fleet) -> None:
    """A gate is shut, and the replica has looked at it."""

    redis = fleet.store.redis
    await redis.config_set("slowlog-log-slower-than", 0)  # so that it lists every command
    await fleet.heard()
    await fleet.store.run(BackOff(key="claude", duration=3_600_000, reason="usage limit", by="ana"))  # a fact it hears
    await redis.slowlog_reset()

    async def looked() -> bool:
        return any(b"dispatch_backup" in entry["command"] for entry in await redis.slowlog_get(128))

    await wait_until(looked, "the replica has looked", every=0.02)
    await redis.config_set("slowlog-log-slower-than", 10_000)
