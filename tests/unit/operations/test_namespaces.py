"""Two namespaces share nothing; two processes of one namespace share everything."""

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.operations import BackOff, Freeze, GetStatus, Query, Thaw
from coordinator.store import Store
from tests.unit.operations.asking import Fleet


@pytest.mark.reference(2, "T3")
async def test_two_namespaces_on_one_server_share_nothing(fleet: Fleet, raw: AsyncRedis) -> None:
    other = Store(raw, "{other}")
    assert (await other.run(GetStatus())).frozen  # thawing the one thaws not the other
    await other.run(Thaw())
    await fleet.limit("codex", 0)
    await fleet.queue("a")
    assert (await other.run(Query())).workspaces == ()
    same = Fleet(other, raw)
    await same.ask_for("a")
    assert [(await each.record("a")).status for each in (fleet, same)] == ["queued", "running"]


@pytest.mark.reference(2, "W19")
async def test_a_freeze_and_a_gate_are_the_same_for_every_process(fleet: Fleet, raw: AsyncRedis) -> None:
    other = Fleet(Store(raw, fleet.store.root), raw)
    await fleet.host("h1", "codex claude")
    await fleet.queue("a")
    await fleet.queue("b", agent="claude")
    await other.store.run(Freeze())
    assert await fleet.granted() == []
    await fleet.store.run(BackOff(key="codex", duration=60_000))
    await other.store.run(Thaw())
    assert [no.reason for no in (await fleet.why("a"), await other.why("a")) if no] == ["backoff", "backoff"]
    assert await fleet.granted() == ["b"]
