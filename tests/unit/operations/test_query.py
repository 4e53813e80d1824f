"""query: the registry by name, by status, by filters and by time."""

import pytest

from coordinator.operations import Query
from coordinator.operations.query import Found
from coordinator.words import STATUSES
from tests.unit.operations.asking import Fleet


async def names(fleet: Fleet, **filters: object) -> list[str]:
    found = await fleet.store.run(Query.model_validate(filters))
    assert found.cursor is None
    return [one.workspace for one in found.workspaces]


async def ended(fleet: Fleet, **times: int) -> None:
    """Workspaces that were completed at these times."""
    for name, time in times.items():
        await fleet.end(await fleet.ask_for(name))
        await fleet.redis.zadd("{t}:status:completed", {name: time})


@pytest.mark.reference("T13", "T14")
async def test_the_registry_is_empty_and_then_holds_what_was_tracked(fleet: Fleet) -> None:
    assert await names(fleet) == []
    await fleet.track(["a"])
    assert await names(fleet) == ["a"]


@pytest.mark.reference(38, "T15")
async def test_the_same_name_is_one_record_with_its_newest_status(fleet: Fleet) -> None:
    await fleet.track(["a", "b"], status="failed")
    await fleet.track(["a"], status="merged")
    found = await fleet.store.run(Query(recent=True))
    assert sorted((one.workspace, one.status) for one in found.workspaces) == [("a", "merged"), ("b", "failed")]
    assert await names(fleet, status="failed") == ["b"]


@pytest.mark.reference(42)
async def test_a_name_wins_over_a_status_and_one_that_is_unknown_is_not_found(fleet: Fleet) -> None:
    await fleet.queue("a", "b")
    assert await names(fleet, name="a", status="completed", repo="other") == ["a"]
    assert await names(fleet, name="c") == []


@pytest.mark.reference(42)
async def test_a_status_answers_all_that_have_it_and_nothing_where_none_has(fleet: Fleet) -> None:
    await fleet.queue("a", "b")
    await fleet.ask_for("r")
    assert await names(fleet, status="queued") == ["b", "a"]
    for status in STATUSES:
        wanted = {"queued": {"a", "b"}, "running": {"r"}}.get(status, set())
        assert set(await names(fleet, status=status)) == wanted
    assert await names(fleet) == ["r", "b", "a"]


@pytest.mark.reference(42)
async def test_only_names_are_answered_to_who_wants_no_more(fleet: Fleet) -> None:
    await fleet.queue("a", "b", repo="io")
    await fleet.queue("c")
    assert await fleet.store.run(Query(status="queued", names=True)) == Found(names=("c", "b", "a"))
    assert (await fleet.store.run(Query(repo="io", names=True))).names == ("b", "a")
    assert (await fleet.store.run(Query(workspace="a", names=True))).names == ("a",)


async def test_records_are_found_by_the_time_of_their_last_change(fleet: Fleet) -> None:
    await ended(fleet, a=1000, b=2000, c=2000, d=3000)
    assert await names(fleet, after=2000) == ["d", "c", "b"]
    assert await names(fleet, before=2000) == ["a"]
    assert await names(fleet, after=1000, before=3000) == ["c", "b", "a"]
    assert await names(fleet, after=2001, before=3000) == []
    assert await names(fleet, after=3000, before=1000) == []
    assert await names(fleet, status="completed", after=3000) == ["d"]
    assert await names(fleet, status="failed", after=0) == []


async def test_each_record_tells_since_when_it_has_its_status(fleet: Fleet) -> None:
    await ended(fleet, a=1000)
    (listed,) = (await fleet.store.run(Query())).workspaces
    assert (listed.since, (await fleet.record("a")).since) == (1000, 1000)


async def test_the_last_dispatches_come_newest_first_whatever_became_of_them(fleet: Fleet) -> None:
    await ended(fleet, a=1000, b=3000)
    for name, status, time in (("c", "failed", 2000), ("d", "blocked", 4000), ("e", "merged", 3000)):
        await fleet.track([name], status=status)
        await fleet.redis.zadd(f"{{t}}:status:{status}", {name: time})
    await fleet.queue("q")
    assert await names(fleet, recent=True) == ["q", "d", "e", "b", "c", "a"]
    assert await names(fleet, recent=True, agent="codex", before=3000) == ["c", "a"]
