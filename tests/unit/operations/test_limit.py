"""limit: the most that may run under a key; what waits starts when it fits."""

import pytest

from coordinator.errors import InvalidQuestion
from coordinator.operations import Limit
from coordinator.operations.limit import LimitSet
from tests.unit.operations.asking import Fleet


async def test_a_limit_is_set_changed_and_cleared(fleet: Fleet) -> None:
    assert await fleet.store.run(Limit(key="codex", limit=5)) == LimitSet(was=None, now=5)
    assert await fleet.store.run(Limit(key="codex", limit=5)) == LimitSet(was=5, now=5)
    assert await fleet.store.run(Limit(key="codex", limit=0)) == LimitSet(was=5, now=0)
    assert await fleet.store.run(Limit(key="codex", clear=True)) == LimitSet(was=0, now=None)
    assert await fleet.redis.exists("{t}:limits") == 0
    assert await fleet.facts() == ["Thawed", "ConfigChanged", "ConfigChanged", "ConfigChanged"]


@pytest.mark.reference(55)
async def test_absent_is_no_limit_and_zero_is_closed(fleet: Fleet) -> None:
    await fleet.host(slots=50)
    await fleet.track([f"w{number}" for number in range(30)])
    await fleet.limit("codex", 0)
    assert await fleet.granted() == []
    await fleet.limit("codex", None)
    assert [len(await fleet.granted()) for _ in range(3)] == [16, 14, 0]  # so many a call


@pytest.mark.reference("W7", "W15")
async def test_the_default_of_repos_holds_for_each_and_gives_way_to_a_limit_of_its_own(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await fleet.limit("repo:*", 1)
    await fleet.limit("repo:core/big", 2)
    for repo in ("a", "b", "big"):
        await fleet.queue(*(f"{repo}/{number}" for number in range(3)), org="core", repo=repo)
    assert sorted(await fleet.granted()) == ["a/0", "b/0", "big/0", "big/1"]
    await fleet.limit("repo:*", 2)
    assert sorted(await fleet.granted()) == ["a/1", "b/1"]
    await fleet.limit("repo:*", None)
    assert sorted(await fleet.granted()) == ["a/2", "b/2"]


async def test_lowering_a_limit_ends_nothing_and_starts_nothing(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.queue("a", "b", "c")
    one, _ = (await fleet.claim(count=2)).grants
    await fleet.limit("codex", 1)
    await fleet.end(one)
    assert await fleet.granted() == []
    no = await fleet.why("c")
    assert no is not None
    assert no.text == "queue at capacity: total 1/1"


@pytest.mark.reference("W9")
@pytest.mark.parametrize("slots", [[4], [1, 1, 1, 1]])
async def test_a_limit_raised_from_one_to_five_starts_four_by_pokes_alone(fleet: Fleet, slots: list[int]) -> None:
    await fleet.limit("codex", 1)
    await fleet.ask_for("running")
    hosts = [f"h{number}" for number in range(len(slots))]
    for host, room in zip(hosts, slots, strict=True):
        await fleet.host(host, slots=room)
    await fleet.queue("a", "b", "c", "d", "e")
    async with fleet.listening(*hosts) as pokes:
        for host in hosts:
            assert await fleet.granted(host) == []
        assert (await fleet.store.run(Limit(key="codex", limit=5))).woken == 1
        started, woken = list[str](), list[str]()
        while len(started) < 4:
            woken.append(await pokes.next())
            started += await fleet.granted(woken[-1])
        assert sorted(started) == ["a", "b", "c", "d"]
        assert sorted(woken) == hosts  # each once
        assert await pokes.heard() == []
    assert await fleet.redis.scard("{t}:slots:codex") == 5


async def test_a_limit_without_a_number_is_refused(fleet: Fleet) -> None:
    with pytest.raises(InvalidQuestion, match="limit: limit or clear is required"):
        await fleet.store.run(Limit(key="codex"))


async def test_a_limit_removed_by_hand_is_noticed_when_it_is_said_again(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.limit("codex", 0)
    await fleet.queue("a")
    assert await fleet.granted() == []
    await fleet.redis.delete("{t}:limits")
    await fleet.limit("codex", None)
    assert await fleet.granted() == ["a"]
