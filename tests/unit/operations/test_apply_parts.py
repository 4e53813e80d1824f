"""A large configuration is applied in parts, and in between no key may run more than by the old or by the new one."""

from math import inf

import pytest

from coordinator.errors import CoordinatorError, StoreUnusable
from coordinator.models import Change
from coordinator.operations import Apply, GetStatus
from coordinator.operations.apply import Applied, Rates
from coordinator.replica.applying import parts
from coordinator.store import Store
from tests.unit.operations.asking import Fleet

LIMITS = {f"team:t{number}": number for number in range(100)}


async def whole(fleet: Fleet, asked: Apply) -> list[tuple[Change, ...]]:
    return [part async for part in parts(fleet.store.run, asked)]


async def limits(fleet: Fleet) -> dict[str, int]:
    return {str(key): int(limit) for key, limit in (await fleet.redis.hgetall("{t}:limits")).items()}


async def test_a_call_changes_16_at_most_and_the_same_question_goes_on(fleet: Fleet) -> None:
    await fleet.limit("old", 3)
    told = await whole(fleet, Apply(limits=LIMITS))
    assert [len(part) for part in told] == [16] * 6 + [5]
    assert {change.path for part in told for change in part} == {"limits.old", *(f"limits.{key}" for key in LIMITS)}
    assert await limits(fleet) == LIMITS
    assert (await fleet.facts()).count("ConfigChanged") == 8  # that of the limit before, too
    assert await whole(fleet, Apply(limits=LIMITS)) == [()]


async def test_every_kind_of_setting_is_reached(fleet: Fleet) -> None:
    pools = [f"pool{number}" for number in range(40)]
    asked = Apply(
        limits=LIMITS,
        rates={pool: Rates(min_delay=5) for pool in pools},
        accounts={pool: ["work", "home"] for pool in pools},
        weights=dict.fromkeys(LIMITS, 2),
        default_agent="codex",
    )
    told = await whole(fleet, asked)
    assert max(len(part) for part in told) == 17  # the default agent is beside the first 16
    status = await fleet.store.run(GetStatus())
    assert {pool: rates.min_delay for pool, rates in status.rates.items()} == dict.fromkeys(pools, 5)
    assert status.accounts == dict.fromkeys(pools, ("home", "work"))
    assert (status.weights, await limits(fleet)) == (asked.weights, LIMITS)
    gone = await whole(fleet, Apply(limits={}, rates={}, accounts={}, weights={}))
    assert sum(len(part) for part in gone) == 280
    left = ("limits", "rates:pool7", "accounts:pool7", "weights")
    assert await fleet.redis.exists(*(f"{{t}}:{name}" for name in left)) == 0


OLD = {"a:*": 9, "b:*": 2, "c:*": 4} | {f"{kind}:{number}": 5 for kind in "abcd" for number in range(20)}
NEW = {"a:*": 2, "b:*": 9, "d:*": 3} | {f"{kind}:{number}": 7 for kind in "bcd" for number in range(10, 30)}


@pytest.mark.parametrize(("before", "after"), [(OLD, NEW), (NEW, OLD), (OLD, {}), ({}, OLD)])
async def test_no_key_may_run_more_in_between_and_what_is_lowered_goes_first(
    fleet: Fleet, before: dict[str, int], after: dict[str, int]
) -> None:
    await whole(fleet, Apply(limits=before))
    keys = {*before, *after, "a:99", "b:99"}
    has_raised = False
    async for _ in parts(fleet.store.run, Apply(limits=after)):
        now = await limits(fleet)
        for key in keys:
            was, shall = _in_force(before, key), _in_force(after, key)
            assert _in_force(now, key) <= max(was, shall), key
            has_raised = has_raised or _in_force(now, key) > was
        assert not has_raised or all(_in_force(now, key) <= _in_force(after, key) for key in _lowered(before, after))
    assert await limits(fleet) == after


def _in_force(found: dict[str, int], key: str) -> float:
    return found.get(key, found.get(key.partition(":")[0] + ":*", inf))


def _lowered(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {key for key in {*before, *after} if _in_force(after, key) < _in_force(before, key)}


async def test_a_damaged_key_stops_it_before_the_part_that_needs_it_and_the_next_goes_on(fleet: Fleet) -> None:
    await fleet.redis.set("{t}:slots:team:t99", "by hand")
    with pytest.raises(StoreUnusable, match="slots:team:t99"):
        await whole(fleet, Apply(limits=dict.fromkeys(LIMITS, 0), weights={"a": 2}))
    done = await limits(fleet)
    assert 0 < len(done) < 100
    assert not await fleet.redis.exists("{t}:weights")
    await fleet.redis.delete("{t}:slots:team:t99")
    told = await whole(fleet, Apply(limits=dict.fromkeys(LIMITS, 0), weights={"a": 2}))
    assert sum(len(part) for part in told) == 101 - len(done)
    assert len(await limits(fleet)) == 100


async def test_a_namespace_with_a_part_of_its_first_configuration_has_none_yet(fleet: Fleet) -> None:
    first = Apply(limits=LIMITS, if_new=True)
    assert (await fleet.store.run(first)).more
    assert (await fleet.store.run(GetStatus())).new
    await whole(fleet, first)
    assert await limits(fleet) == LIMITS
    assert not (await fleet.store.run(GetStatus())).new
    assert await fleet.store.run(Apply(limits={}, if_new=True)) == Applied()


async def test_a_configuration_that_thaws_does_so_with_its_last_part(store: Store) -> None:
    first = Apply(limits=LIMITS, if_new=True, thaw=True)
    while (await store.run(first)).more:
        assert (await store.run(GetStatus())).frozen
    assert not (await store.run(GetStatus())).frozen


async def test_two_that_undo_each_other_do_not_go_on_for_ever(fleet: Fleet) -> None:
    other = Apply(limits=dict.fromkeys(LIMITS, 3))

    async def beside_another(asked: Apply) -> Applied:
        await fleet.store.run(other)
        return await fleet.store.run(asked)

    with pytest.raises(CoordinatorError, match=r"somebody else changes limits.team:t\d+ at the same time"):
        async for _ in parts(beside_another, Apply(limits=LIMITS)):
            pass
