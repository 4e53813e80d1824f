"""apply: a whole configuration becomes true in one step, and says what it changed."""

import json

import pytest

from coordinator.errors import InvalidQuestion
from coordinator.models import Change
from coordinator.operations import Apply, BackOff, GetStatus, Submit
from coordinator.operations.apply import Applied, FleetSettings, Rates
from tests.unit.operations.asking import Fleet
from tests.waiting import wait_until


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
            Change(path="rates.codex.min_delay", now=5),
            Change(path="rates.codex.reset_utc", now="06:00"),
            Change(path="settings.beat", was=10_000, now=5000),
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
        assert sorted(await fleet.granted()) == ["a", "b"]


async def test_a_default_of_repos_is_judged_again_for_more_of_them_than_one_call_may_walk(fleet: Fleet) -> None:
    await fleet.host(slots=500)
    await fleet.limit("repo:*", 0)
    for repo in range(150):
        await fleet.track([f"r{repo}/a"], repo=f"r{repo}")
    assert await fleet.granted() == []
    await fleet.store.run(Apply(limits={"repo:*": 1}))
    assert await fleet.redis.exists("{t}:opening") == 1
    started = 0
    for _ in range(20):
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


GEMINI = Rates(reset_utc="06:00", daily_limit=9, min_delay=30_000, sustained_delay=120_000)


@pytest.mark.reference(61)
async def test_rates_are_kept_as_given_and_told_by_status(fleet: Fleet) -> None:
    await fleet.store.run(Apply(rates={"gemini": GEMINI, "codex": Rates(), "claude": Rates(burst_delay=0)}))
    assert await fleet.redis.hgetall("{t}:rates:gemini") == {
        "reset_utc": "06:00",
        "daily_limit": "9",
        "min_delay": "30000",
        "sustained_delay": "120000",
    }
    assert await fleet.redis.hget("{t}:control", "paced") == "claude gemini"
    status = await fleet.store.run(GetStatus())
    assert {pool: rates.model_dump(exclude_none=True) for pool, rates in status.rates.items()} == {
        "gemini": GEMINI.model_dump(exclude_none=True),
        "claude": {"burst_delay": 0},
    }


@pytest.mark.reference(64)
async def test_rates_of_a_model_are_refused_for_the_pool_has_the_pace(fleet: Fleet) -> None:
    asked = '{"rates":{"codex:gpt-5.4":{"sustained_delay":5}}}'
    answer = json.loads(await fleet.redis.fcall("dispatch_apply", 1, "{t}", asked))
    assert (answer["outcome"], answer["problems"][0]["field"]) == ("invalid", "rates.codex:gpt-5.4")
    assert await fleet.redis.hget("{t}:control", "paced") is None


async def test_rates_of_a_pool_that_the_file_no_longer_names_are_gone(fleet: Fleet) -> None:
    await fleet.store.run(Apply(rates={"gemini": GEMINI, "codex": Rates(min_delay=5, burst_delay=1)}))
    await fleet.store.run(Apply(limits={}))
    assert await fleet.redis.exists("{t}:rates:gemini") == 1
    answer = await fleet.store.run(Apply(rates={"codex": Rates(min_delay=6)}))
    assert answer.changes == (
        Change(path="rates.codex.burst_delay", was=1),
        Change(path="rates.codex.min_delay", was=5, now=6),
        Change(path="rates.gemini.daily_limit", was=9),
        Change(path="rates.gemini.min_delay", was=30_000),
        Change(path="rates.gemini.reset_utc", was="06:00"),
        Change(path="rates.gemini.sustained_delay", was=120_000),
    )
    assert await fleet.redis.exists("{t}:rates:gemini") == 0
    assert await fleet.redis.hget("{t}:control", "paced") == "codex"
    await fleet.store.run(Apply(rates={}))
    assert await fleet.redis.exists("{t}:rates:codex") == 0
    assert await fleet.redis.hget("{t}:control", "paced") is None
    assert (await fleet.store.run(GetStatus())).rates == {}


async def test_a_deleted_list_of_paced_pools_comes_back_with_the_file(fleet: Fleet) -> None:
    config = Apply(rates={"gemini": GEMINI})
    await fleet.store.run(config)
    await fleet.redis.hdel("{t}:control", "paced")
    assert await fleet.store.run(config) == Applied()
    assert "gemini" in (await fleet.store.run(GetStatus())).rates


@pytest.mark.parametrize("times", [{"lease_ttl": 400_000}, {"beat": 5000}, {"kill_grace": 0}])
async def test_every_host_is_told_to_beat_when_the_times_it_lives_by_change(
    fleet: Fleet, times: dict[str, int]
) -> None:
    hosts = ["h1", "h2", "h3"]
    for host in hosts:
        await fleet.host(host)
    config = Apply(settings=FleetSettings.model_validate({"max_attempts": 7, **times}))
    async with fleet.listening(*hosts) as pokes:
        await fleet.store.run(Apply(settings=FleetSettings(history=1000, max_attempts=5, spawn_timeout=1000)))
        assert await pokes.heard() == []
        await fleet.store.run(config)
        heard: list[str] = []

        async def each() -> bool:
            heard.extend(await pokes.heard())
            return sorted(heard) == hosts

        await wait_until(each, "each host hears it")
        assert pokes.texts == ["beat"] * 3
        await fleet.store.run(config)
        assert await pokes.heard() == []
    renewed = (await fleet.host("h1")).model_dump()
    in_force = {"lease_ttl": renewed["ttl"], "beat": renewed["beat"], "kill_grace": renewed["kill_grace"]}
    assert in_force | times == in_force


async def test_settings_that_say_the_default_change_nothing_and_stay_when_it_changes(fleet: Fleet) -> None:
    assert await fleet.store.run(Apply(settings=FleetSettings(beat=10_000, history=2_592_000_000))) == Applied()
    kept = await fleet.redis.hmget("{t}:control", ["beat", "history", "lease_ttl"])
    assert kept == ["10000", "2592000000", None]


async def test_changed_rates_let_what_waits_be_judged_again(fleet: Fleet) -> None:
    """A pool that was shut by hand, behind the library's back, and opened the same way: only a call looks again."""
    await fleet.host("h1")
    await fleet.limit("codex", 0)
    await fleet.queue("a")
    async with fleet.listening("h1") as pokes:
        assert await fleet.granted() == []
        await fleet.redis.hset("{t}:limits", "codex", "1")
        await fleet.store.run(Apply(rates={"gemini": GEMINI}))
        assert await pokes.heard() == []
        await fleet.store.run(Apply(rates={"codex": Rates(min_delay=5)}))
        assert await pokes.next() == "h1"
        assert await fleet.granted() == ["a"]


async def test_changed_rates_set_the_timer_of_their_pool_anew(fleet: Fleet) -> None:
    later = 4_102_444_800_000
    for pool in ("codex", "gemini"):
        await fleet.store.run(BackOff(key=pool, until=later))
        await fleet.store.run(Apply(rates={"gemini": GEMINI}))
    await fleet.redis.delete("{t}:timers")
    await fleet.store.run(Apply(rates={"gemini": GEMINI, "codex": Rates(min_delay=5)}))
    assert await fleet.redis.zrange("{t}:timers", 0, -1, withscores=True) == [("codex", later)]
