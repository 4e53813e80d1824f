"""The library on the server: loaded when it is missing, replaced when it is older, and a new epoch after that."""

import re

import pytest

from coordinator import library
from coordinator.errors import LibraryError
from coordinator.operations import GetStatus, Host, Reap, Thaw
from coordinator.store import Store
from tests.unit.operations.asking import Fleet


def _numbered(number: int) -> str:
    return re.sub(r"^base.LIB = \d+", f"base.LIB = {number}", library.TEXT, flags=re.MULTILINE)


@pytest.mark.reference(5, "T4")
async def test_a_missing_library_is_loaded_and_the_call_repeated(store: Store) -> None:
    assert (await store.run(GetStatus())).lib == library.LIB
    await store.redis.function_flush("SYNC")
    assert (await store.run(Thaw())).outcome == "thawed"


async def test_an_older_library_is_replaced_before_it_does_anything(store: Store) -> None:
    await store.redis.function_load(_numbered(0))
    assert (await store.run(GetStatus())).lib == library.LIB
    assert await store.redis.dbsize() == 0


async def test_a_newer_library_stays(store: Store) -> None:
    await store.redis.function_load(_numbered(library.LIB + 7))
    assert (await store.run(GetStatus())).lib == library.LIB + 7


async def test_calls_made_at_once_find_the_missing_library_together(store: Store) -> None:
    fleet = Fleet(store, store.redis)
    await store.run(Thaw())
    await store.redis.function_flush("SYNC")
    await fleet.queue("a", "b")


@pytest.mark.parametrize("line", [r"ending.report\(ask, row\)\n    local answer"])
async def test_a_defect_of_the_library_names_its_file_and_line(store: Store, line: str) -> None:
    broken = re.sub(line, "lease.repotr(ask, row)\n    local answer", library.TEXT)
    assert broken != library.TEXT
    await store.redis.function_load(broken)
    fleet = Fleet(store, store.redis)
    await store.run(Thaw())
    with pytest.raises(LibraryError, match=r"complete\.lua:\d+.*repotr"):
        await fleet.end(await fleet.ask_for("a"))


async def _forget_epoch(fleet: Fleet) -> None:
    """As if the server had started anew: what the library kept in its memory is gone."""
    await fleet.redis.function_load(library.TEXT, replace=True)


async def test_a_new_epoch_grants_and_reaps_nothing_until_every_host_has_beaten(fleet: Fleet) -> None:
    await fleet.host("h1")
    await fleet.host("h2")
    await fleet.queue("a", "b")
    (grant,) = (await fleet.claim("h1", 1)).grants
    await fleet.lapse("a")
    await _forget_epoch(fleet)
    refusal = (await fleet.claim("h2")).refusal
    assert refusal is not None
    assert (refusal.reason, refusal.text) == ("settling", "settling: waiting for every host to report")
    assert (await fleet.store.run(Reap())).lost == ()
    assert (await fleet.store.run(GetStatus())).settling is not None
    assert (await fleet.beat("h1", grant)).lost == ()  # it lapsed, nobody reaped it, it goes on
    assert (await fleet.claim("h2")).grants == ()
    await fleet.beat("h2")
    assert (await fleet.store.run(GetStatus())).settling is None
    assert await fleet.granted("h2") == ["b"]
    assert (await fleet.record("a")).status == "running"


async def test_a_host_that_is_forgotten_is_not_waited_for(fleet: Fleet) -> None:
    await fleet.host("h1")
    await fleet.host("h2")
    await fleet.queue("a")
    await _forget_epoch(fleet)
    await fleet.beat("h1")
    assert await fleet.granted("h1") == []
    await fleet.store.run(Host(host="h2", action="forget"))
    assert await fleet.granted("h1") == ["a"]


async def test_settling_ends_by_its_time_at_the_latest(fleet: Fleet) -> None:
    await fleet.host("h1")
    await fleet.host("gone")
    await fleet.queue("a")
    await _forget_epoch(fleet)
    await fleet.beat("h1")
    assert await fleet.granted("h1") == []
    assert await fleet.redis.zrange("{t}:timers", 0, -1) == ["*"]
    await fleet.redis.hset("{t}:control", "settling", "1")
    await fleet.redis.zadd("{t}:timers", {"*": 1})
    assert await fleet.granted("h1") == ["a"]


async def test_a_namespace_without_hosts_settles_at_once(fleet: Fleet) -> None:
    await fleet.queue("a")
    before = await fleet.redis.hget("{t}:control", "epoch")
    await _forget_epoch(fleet)
    await fleet.ask_for("b")
    after = await fleet.redis.hget("{t}:control", "epoch")
    assert int(str(after)) > int(str(before))


@pytest.mark.reference(59)
async def test_an_empty_server_is_frozen_and_learns_of_runs_from_beats(fleet: Fleet) -> None:
    await fleet.host("h1")
    await fleet.queue("a")
    (grant,) = (await fleet.claim()).grants
    await fleet.redis.flushall()
    answer = await fleet.beat("h1", grant)
    assert answer.lost == ("a",)
    assert (await fleet.store.run(GetStatus())).frozen
    assert int(str(await fleet.redis.get("{t}:fence"))) >= grant.token
