"""apply: a whole configuration becomes true in one step, and says what it changed."""

import pytest

from coordinator.errors import InvalidQuestion
from coordinator.models import Change
from coordinator.operations import Apply, GetStatus, Submit
from coordinator.operations.apply import Applied, FleetSettings, Rates
from tests.unit.operations.asking import Fleet


@pytest.mark.reference(4, "T6")
async def test_what_changed_is_told_and_the_second_time_nothing_does(fleet: Fleet) -> None:
    await fleet.limit("old", 3)
    config = Apply(
        limits={"codex": 5, "repo:*": 2},
        rates={"codex": Rates(reset_utc="06:00", min_delay=5)},
        settings=FleetSettings(beat=5000),
        default_agent="codex",
    )
    assert await fleet.store.run(config) == Applied(
        changes=(
            Change(path="default_agent", now="codex"),
            Change(path="limits.codex", now=5),
            Change(path="limits.old", was=3),
            Change(path="limits.repo:*", now=2),
            Change(path="rates.codex.min_delay", now="5"),
            Change(path="rates.codex.reset_utc", now="06:00"),
            Change(path="settings.beat", now=5000),
        )
    )
    assert await fleet.store.run(config) == Applied()
    assert (await fleet.facts()).count("ConfigChanged") == 2
    status = await fleet.store.run(GetStatus())
    assert (status.settings.beat, status.settings.lease_ttl, status.default_agent) == (5000, 300_000, "codex")
    assert await fleet.redis.hgetall("{t}:rates:codex") == {"reset_utc": "06:00", "min_delay": "5"}


async def test_limits_that_are_left_out_of_the_question_stay(fleet: Fleet) -> None:
    await fleet.limit("codex", 3)
    await fleet.store.run(Apply(default_agent="codex"))
    assert await fleet.redis.hgetall("{t}:limits") == {"codex": "3"}
    assert (await fleet.store.run(Apply(limits={}))).changes == (Change(path="limits.codex", was=3),)
    assert await fleet.redis.exists("{t}:limits") == 0


@pytest.mark.reference(4)
async def test_a_first_configuration_is_applied_once(fleet: Fleet) -> None:
    assert len((await fleet.store.run(Apply(limits={"codex": 1}, if_new=True))).changes) == 1
    assert await fleet.store.run(Apply(limits={"codex": 2}, if_new=True)) == Applied()
    assert await fleet.redis.hget("{t}:limits", "codex") == "1"


@pytest.mark.parametrize(
    "wrong", [FleetSettings(lease_ttl=44_999), FleetSettings(beat=95_001), FleetSettings(kill_grace=270_001)]
)
async def test_a_lease_shorter_than_three_beats_and_the_grace_is_refused_whole(
    fleet: Fleet, wrong: FleetSettings
) -> None:
    with pytest.raises(InvalidQuestion, match=r"settings.lease_ttl: must be at least 3 beats and kill_grace"):
        await fleet.store.run(Apply(limits={"codex": 1}, settings=wrong))
    assert await fleet.redis.exists("{t}:limits") == 0
    await fleet.store.run(Apply(settings=FleetSettings(lease_ttl=45_000)))


async def test_limits_that_are_raised_or_gone_wake_what_waits(fleet: Fleet) -> None:
    await fleet.host("h1", "codex claude")
    await fleet.limit("codex", 0)
    await fleet.limit("claude", 0)
    await fleet.queue("a")
    await fleet.queue("b", agent="claude")
    async with fleet.listening("h1") as pokes:
        assert await fleet.granted() == []
        await fleet.store.run(Apply(limits={"codex": 1}))
        assert await pokes.next() == "h1"
        assert await fleet.granted() == ["a", "b"]


async def test_a_default_of_repos_is_judged_again_for_more_of_them_than_one_call_may_walk(fleet: Fleet) -> None:
    await fleet.host(slots=500)
    await fleet.limit("repo:*", 0)
    for repo in range(150):
        await fleet.track([f"r{repo}/a"], repo=f"r{repo}")
    assert await fleet.granted() == []
    await fleet.store.run(Apply(limits={"repo:*": 1}))
    assert await fleet.redis.exists("{t}:opening") == 1
    started = 0
    for _ in range(9):
        started += len(await fleet.granted())
    assert started == 150
    assert await fleet.redis.exists("{t}:opening", "{t}:blocked") == 0


@pytest.mark.reference(9, "W23")
async def test_the_default_agent_is_the_one_of_a_submit_that_names_none(fleet: Fleet) -> None:
    await fleet.track(["a"])
    await fleet.store.run(Apply(default_agent="codex"))
    answer = await fleet.store.run(Submit(workspace="b"))
    assert answer.outcome == "queued"
    assert (await fleet.record("b")).agent == "codex"
