"""freeze, thaw and back_off: nothing starts under a key, remembered, until it may."""

from typing import Any

import pytest

from coordinator.errors import InvalidQuestion
from coordinator.operations import BackOff, Freeze, GetStatus, Reap, Submit, Thaw
from coordinator.operations.back_off import GateSet
from coordinator.operations.freeze import Frozen
from coordinator.operations.submit import Granted, Refused
from coordinator.operations.thaw import Thawed
from coordinator.store import Store
from tests.model.world import ROOT, START, World
from tests.unit.operations.asking import Fleet

LATER = 4_102_444_800_000


@pytest.mark.reference(1, "T7", "T8")
async def test_a_new_namespace_is_frozen_until_it_is_thawed(store: Store) -> None:
    status = await store.run(GetStatus())
    assert (status.frozen, status.new) == (True, True)
    assert await store.run(Thaw(by="ana")) == Thawed(key="*")
    assert not (await store.run(GetStatus())).frozen


@pytest.mark.reference(8, 18, 25, 82, "T30", "T59")
async def test_a_freeze_stops_grants_moves_nothing_and_leaves_what_runs(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.queue("a", "b")
    (grant,) = (await fleet.claim(count=1)).grants
    ready = await fleet.redis.zrange("{t}:ready:codex", 0, -1, withscores=True)
    assert await fleet.store.run(Freeze(by="ana", reason="deploy")) == Frozen(key="*")
    assert await fleet.store.run(Freeze(by="bob")) == Frozen(key="*")
    assert await fleet.granted() == []
    assert await fleet.redis.zrange("{t}:ready:codex", 0, -1, withscores=True) == ready
    assert (await fleet.beat("h1", grant)).lost == ()
    assert (await fleet.facts()).count("Frozen") == 1
    await fleet.store.run(Thaw())
    assert await fleet.granted() == ["b"]


async def test_a_thaw_pokes_a_host_of_every_route_with_work(fleet: Fleet) -> None:
    await fleet.host("h1", "codex")
    await fleet.host("h2", "claude")
    async with fleet.listening("h1", "h2") as pokes:
        await fleet.claim("h1")
        await fleet.claim("h2")
        await fleet.store.run(Freeze())
        await fleet.queue("a")
        await fleet.queue("b", agent="claude")
        assert await pokes.heard() == []
        assert (await fleet.store.run(Thaw())).woken == 2
        assert sorted(await pokes.heard()) == ["h1", "h2"]


@pytest.mark.parametrize("key", ["*", "codex"])
def test_a_freeze_whose_time_is_over_is_refused_and_one_that_stands_stays(world: World, key: str) -> None:
    world.ask(Freeze(key=key, by="ana"))
    answer = str(world.redis.fcall("dispatch_freeze", 1, ROOT, f'{{"key":"{key}","until":{START}}}'))
    assert "must be in the future, got 2025-06-15T15:06:40Z" in answer
    no = world.ask(Submit(workspace="w", agent="codex", asker="svc", otherwise="refuse"))
    assert isinstance(no, Refused)
    assert (no.refusal.reason, no.refusal.until) == ("frozen", None)


@pytest.mark.reference(8)
async def test_one_key_is_frozen_and_thawed_alone(fleet: Fleet) -> None:
    await fleet.host("h1", "codex claude")
    await fleet.store.run(Freeze(key="claude", by="ana"))
    await fleet.queue("a")
    await fleet.queue("b", agent="claude")
    assert await fleet.granted() == ["a"]
    no = await fleet.why("b")
    assert no is not None
    assert (no.key, no.reason, no.text) == ("claude", "frozen", "claude is frozen by ana")
    assert await fleet.store.run(Thaw(key="claude")) == Thawed(key="claude")
    assert await fleet.granted() == ["b"]


@pytest.mark.parametrize("key", ["*", "codex"])
def test_a_freeze_is_over_at_the_very_moment_it_names(world: World, key: str) -> None:
    world.ask(Freeze(key=key, until=START + 1000))
    for after, told in ((999, 0), (1000, 1), (1001, 1)):
        world.set_clock(START + after)
        world.ask(Reap())
        facts: Any = world.redis.xrange(f"{ROOT}:events")
        thawed = [fields["json"] for _, fields in facts if fields["type"] == "Thawed" and "expiry" in fields["json"]]
        assert len(thawed) == told
    assert world.ask(GetStatus()).frozen is False
    assert world.redis.exists(f"{ROOT}:frozen") == 0


async def test_a_thaw_of_what_is_not_frozen_is_no_fact(fleet: Fleet) -> None:
    for key in ("*", "codex"):
        told = len(await fleet.facts())
        await fleet.store.run(Thaw(key=key))
        assert len(await fleet.facts()) == told
        await fleet.store.run(Freeze(key=key))
        await fleet.store.run(Thaw(key=key))
        assert len(await fleet.facts()) == told + 2


@pytest.mark.reference(8)
async def test_a_freeze_with_an_end_ends_by_itself(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.store.run(Freeze(until=LATER))
    await fleet.store.run(Freeze(key="codex", until=LATER))
    await fleet.queue("a")
    assert await fleet.redis.zrange("{t}:timers", 0, -1) == ["*", "codex"]
    await fleet.redis.hset("{t}:control", "frozen_until", "1")
    await fleet.redis.hset("{t}:frozen", "codex", '{"until":1}')
    await fleet.redis.zadd("{t}:timers", {"*": 1, "codex": 1})
    await fleet.redis.hset("{t}:control", "due", "1")
    assert await fleet.granted() == ["a"]
    assert await fleet.redis.exists("{t}:timers", "{t}:frozen") == 0


async def test_a_gate_is_shut_moved_and_opened(fleet: Fleet) -> None:
    set_to = await fleet.store.run(BackOff(key="codex", until=LATER, reason="limit", by="ana"))
    assert set_to == GateSet(was=0, now=LATER)
    assert await fleet.redis.zscore("{t}:timers", "codex") == LATER
    assert await fleet.store.run(BackOff(key="codex", until=LATER + 5)) == GateSet(was=LATER, now=LATER + 5)
    assert await fleet.redis.zscore("{t}:timers", "codex") == LATER + 5
    assert await fleet.store.run(BackOff(key="codex", clear=True)) == GateSet(was=LATER + 5, now=0)
    assert await fleet.redis.exists("{t}:timers", "{t}:backoff", "{t}:backoff_reason") == 0


@pytest.mark.reference(35)
async def test_at_least_never_moves_a_gate_earlier(fleet: Fleet) -> None:
    await fleet.store.run(BackOff(key="codex", until=LATER))
    assert (await fleet.store.run(BackOff(key="codex", duration=1000, at_least=True))).now == LATER
    assert (await fleet.store.run(BackOff(key="codex", duration=1000))).now < LATER


@pytest.mark.reference(72)
async def test_an_opened_gate_starts_what_waited(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.store.run(BackOff(key="codex", duration=60_000))
    await fleet.queue("a")
    async with fleet.listening("h1") as pokes:
        assert await fleet.granted() == []
        assert (await fleet.store.run(BackOff(key="codex", clear=True))).woken == 1
        assert await pokes.next() == "h1"
        assert await fleet.granted() == ["a"]


async def test_a_gate_deleted_by_hand_is_noticed_when_it_is_cleared(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.store.run(BackOff(key="codex", duration=60_000))
    await fleet.queue("a")
    assert await fleet.granted() == []
    await fleet.redis.delete("{t}:backoff")
    assert await fleet.store.run(BackOff(key="codex", clear=True)) == GateSet(was=0, now=0)
    assert await fleet.granted() == ["a"]


async def test_a_gate_needs_an_end(fleet: Fleet) -> None:
    with pytest.raises(InvalidQuestion, match="one of until, for, clear is required"):
        await fleet.store.run(BackOff(key="codex"))


@pytest.mark.reference(8, "T9")
async def test_the_last_of_many_freezes_and_thaws_holds(fleet: Fleet) -> None:
    for _ in range(50):
        await fleet.store.run(Freeze())
        assert (await fleet.store.run(GetStatus())).frozen
        await fleet.store.run(Thaw())
    assert not (await fleet.store.run(GetStatus())).frozen


@pytest.mark.reference(10, 11, 15, 76, "W4", "T24")
async def test_an_asker_passes_the_same_gates_as_a_worker(fleet: Fleet) -> None:
    await fleet.store.run(BackOff(key="codex", until=LATER))
    shut = await fleet.submit("a", asker="svc", otherwise="refuse")
    assert isinstance(shut, Refused)
    assert (shut.refusal.key, shut.refusal.reason, shut.refusal.until) == ("codex", "backoff", LATER)
    await fleet.store.run(Freeze())
    frozen = await fleet.submit("b", "claude", asker="svc", otherwise="refuse")
    assert isinstance(frozen, Refused)
    assert (frozen.refusal.reason, frozen.refusal.text) == ("frozen", "queue is frozen")
    await fleet.store.run(Thaw())
    await fleet.store.run(BackOff(key="codex", clear=True))
    await fleet.ask_for("a")


async def test_a_gate_shut_for_longer_than_a_number_can_tell_is_shut(fleet: Fleet) -> None:
    last = 10**14 - 1
    assert (await fleet.store.run(BackOff(key="codex", duration=last))).now == last
    answer = await fleet.store.run(Submit(workspace="a", agent="codex", asker="svc", otherwise="refuse"))
    assert isinstance(answer, Refused)
    assert (answer.refusal.reason, answer.refusal.until) == ("backoff", last)


async def test_a_lease_for_longer_than_a_number_can_tell_is_held(fleet: Fleet) -> None:
    answer = await fleet.store.run(Submit(workspace="a", agent="codex", asker="svc", ttl=10**14 - 1))
    assert isinstance(answer, Granted)
    assert answer.grant.ttl > 9 * 10**13
