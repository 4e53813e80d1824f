"""Sentinels promote a replica that has not heard the last second of its primary, while fifty agents run."""

import contextlib
from pathlib import Path

import pytest
from redis import Redis

from coordinator.errors import StoreUnavailable
from tests.fifty import FIRST, LAST, NEXT, all_are_told_once, fifty, seen, submit
from tests.fleet import Fleet
from tests.sentinels import Watched
from tests.waiting import wait_until


@pytest.mark.timeout(120)
async def test_what_the_new_primary_never_heard_is_told_to_it(tmp_path: Path) -> None:
    """It knows nothing of endings that were recorded, nor of the runs that were granted for them."""
    with Watched(tmp_path / "servers", 3, down_after_ms=2000) as watched:
        # A replica that has heard nothing for ten times `down_after_ms` when its primary dies is not promoted.
        async with fifty(watched.url, tmp_path) as (fleet, first, last):
            await submit(fleet, NEXT, str(last.path))
            watched.part()
            first.open()
            for name in FIRST:
                await fleet.becomes(name, "completed", deadline=30)
            await wait_until(lambda: len(seen(fleet)) > 2 * len(FIRST) + len(LAST), "others were granted for them")
            watched.kill(watched.primary)
            with Redis(port=watched.replica) as behind:
                assert behind.zcard("{dispatch}:status:completed") == 0
                await wait_until(lambda: is_primary(behind), "it is promoted", 30, every=0.05)
            await wait_until(lambda: is_found(fleet), "its sentinels name it", 30, every=0.05)
            for name in (*LAST, *NEXT[: len(FIRST)]):
                await fleet.becomes_known(name, "running")
            last.open()
            await all_are_told_once(fleet)


def is_primary(server: "Redis") -> bool:
    return str(server.info("replication")["role"]) == "master"


async def is_found(fleet: Fleet) -> bool:
    with contextlib.suppress(StoreUnavailable):
        await fleet.status()
        return True
    return False
