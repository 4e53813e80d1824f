"""Claims at their edges: what was changed by hand, what is damaged, what is over; runs that are told again."""

from typing import Any

import pytest

from coordinator import operations as ops
from coordinator.models import Held
from coordinator.operations.apply import Rates
from coordinator.operations.complete import HoldersEnding
from tests.model.world import ROOT, START, World
from tests.unit.operations.stopping import ask, changes_nothing, damage, names
from tests.unit.operations.test_waiting_hosts import host, queue

TTL = 300_000


def claim(world: World, seq: int = 1, name: str = "h1", **more: Any) -> ops.claim.Claimed:
    return world.ask(ops.Claim(host=name, incarnation="i", seq=seq, **more))


def run(world: World, name: str = "a", on: str = "h1") -> int:
    """A run of a host that has claimed nothing yet; its token."""
    queue(world, name)
    (grant,) = claim(world, name=on).grants
    return grant.token


def record(world: World, name: str = "a") -> dict[str, str]:
    found: dict[str, str] = world.keys()[f"workspace:{name}"]
    return found


def end(world: World, token: int, status: Any = "completed", name: str = "a", **more: Any) -> ops.Complete:
    return ops.Complete(workspace=name, token=token, status=status, **more)


@pytest.mark.parametrize("changed", [{"status": "completed"}, {"lane": "codex codex team"}])
def test_a_head_of_a_lane_that_was_changed_by_hand_is_not_granted(world: World, changed: Any) -> None:
    queue(world, "a", "b")
    world.redis.hset(f"{ROOT}:workspace:a", mapping=changed)
    assert [grant.workspace for grant in claim(world).grants] == ["b"]
    assert world.keys().get("lane:codex codex") is None


def test_a_claim_that_is_asked_again_tells_nothing_of_a_run_that_is_over_or_was_granted_anew(world: World) -> None:
    host(world, "h2", "codex")
    first = run(world)
    world.ask(end(world, first, "failed", verdict="limited", retry_after=1))
    assert claim(world).grants == ()
    world.set_clock(START + 60_000)
    (grant,) = claim(world, name="h2").grants
    assert grant.token > first
    assert claim(world).grants == ()
    assert claim(world, name="h2").grants == (grant,)


def test_the_queue_is_drained_where_the_last_that_waited_was_removed_by_hand(world: World) -> None:
    token = run(world)
    queue(world, "b")
    world.ask(end(world, token))
    world.redis.delete(f"{ROOT}:workspace:b")
    world.facts()
    assert claim(world, 2).grants == ()
    assert [fact for fact in world.facts() if fact["type"] == "QueueDrained"] == [
        {"type": "QueueDrained", "completed": 1}
    ]
    assert world.keys().get("status:queued") is None


def test_what_is_too_late_to_start_waits_on_while_a_damaged_key_keeps_it_from_failing(world: World) -> None:
    queue(world, "a", deadline=START + 10)
    damage(world, "status:failed")
    world.set_clock(START + 10)
    world.facts()
    answer = ask(world, ops.Claim(host="h1", incarnation="i", seq=1))
    assert names(answer) == ("damaged", "status:failed", "zset")
    assert world.facts() == []
    assert (record(world)["status"], world.keys()["lane:codex codex"]) == ("queued", {"a": START})


def test_a_host_whose_mode_was_removed_by_hand_asks_for_itself(world: World) -> None:
    world.redis.hdel(f"{ROOT}:host:h1", "mode")
    queue(world, "a")
    (grant,) = claim(world).grants
    assert (grant.ttl, record(world)["mode"]) == (TTL, "pull")


def test_a_claim_answers_what_it_granted_and_the_next_one_names_the_damage_it_met(world: World) -> None:
    queue(world, "a", "b")
    damage(world, "workspace:b")
    answer = claim(world)
    assert ([grant.workspace for grant in answer.grants], answer.more) == (["a"], True)
    assert names(ask(world, ops.Claim(host="h1", incarnation="i", seq=2)))[:2] == ("damaged", "workspace:b")


def test_a_claim_that_was_given_nothing_leaves_nothing_to_give_again(world: World) -> None:
    assert claim(world).grants == ()
    assert world.keys()["host:h1"].get("last") is None


def test_a_host_that_holds_more_than_it_has_room_for_now_is_full(world: World) -> None:
    queue(world, "a", "b", "c")
    assert len(claim(world, count=2).grants) == 2
    world.ask(ops.Renew(host="h1", incarnation="i", slots=1))
    refusal = claim(world, 2).refusal
    assert refusal
    assert (refusal.reason, refusal.text, refusal.used, refusal.limit) == ("hosts_full", "host h1 is full: 2/1", 2, 1)


def test_a_host_that_comes_unasked_and_is_full_then_waits_no_more(world: World) -> None:
    for name in ("w1", "w2"):
        world.ask(ops.Renew(host=name, incarnation="i", pools=["codex"], slots=1))
        world.listen(name)
        assert claim(world, name=name).grants == ()
    queue(world, "a")
    assert world.heard() == ["w1"]
    assert [grant.workspace for grant in claim(world, 2, "w2").grants] == ["a"]
    keys = world.keys()
    assert ("waiting:codex" in keys, "waiting" in keys["host:w2"]) == (False, False)
    queue(world, "b")
    assert world.heard() == []


@pytest.mark.parametrize("what", ["claim", "a time is named", "a quick failure", "a success after failures"])
def test_damage_to_the_stream_stops_what_would_write_before_its_fact(world: World, what: str) -> None:
    token = run(world)
    queue(world, "b")
    if what == "a success after failures":
        world.redis.hset(f"{ROOT}:fail_count", "codex", 2)
    world.redis.delete(f"{ROOT}:events")
    damage(world, "events")
    operation: Any = {
        "claim": ops.Claim(host="h1", incarnation="i", seq=2),
        "a time is named": end(world, token, "blocked", retry_after=60),
        "a quick failure": end(world, token, "failed"),
        "a success after failures": end(world, token),
    }[what]
    changes_nothing(world, operation, "events", "stream")


@pytest.mark.parametrize(("after", "count"), [(59_999, {"codex": "1"}), (60_000, None)])
def test_a_failure_within_a_minute_of_its_start_is_counted(
    world: World, after: int, count: dict[str, str] | None
) -> None:
    token = run(world)
    world.set_clock(START + after)
    world.ask(end(world, token, "failed"))
    assert world.keys().get("fail_count") == count


def test_a_row_of_failures_is_ended_by_the_success_that_is_told_in_the_same_beat(world: World) -> None:
    queue(world, "a", "b")
    failed, done = claim(world).grants
    endings = [
        HoldersEnding(workspace="a", token=failed.token, status="failed"),
        HoldersEnding(workspace="b", token=done.token, status="completed"),
    ]
    world.ask(ops.Renew(host="h1", incarnation="i", endings=endings))
    keys = world.keys()
    assert (record(world)["status"], record(world, "b")["status"], keys.get("fail_count")) == (
        "failed",
        "completed",
        None,
    )


def test_of_two_that_name_one_time_the_first_is_remembered(world: World) -> None:
    host(world, "h2", "codex")
    one, other = run(world), run(world, "b", "h2")
    for name, token in (("a", one), ("b", other)):
        world.ask(end(world, token, "failed", name, retry_after=60))
    keys = world.keys()
    assert keys["backoff"] == {"codex": str(START + 60_000)}
    assert keys["backoff_reason"] == {"codex": "the provider named a time by h1"}


@pytest.mark.parametrize(("after", "told"), [(999, 1), (1000, 2)])
def test_a_limit_is_told_again_when_it_ends_a_second_later(world: World, after: int, told: int) -> None:
    queue(world, "a", "b")
    one, other = claim(world).grants
    world.ask(end(world, one.token, "failed", retry_after=60))
    world.set_clock(START + after)
    world.ask(end(world, other.token, "failed", "b", retry_after=60))
    assert [fact["type"] for fact in world.facts()].count("RateLimitDetected") == told
    assert world.keys()["backoff"] == {"codex": str(START + 60_000 + after)}


@pytest.mark.parametrize(("attempt", "then"), [("3", "2"), ("2", "1"), ("1", "0"), ("0", "0"), (None, "0")])
def test_a_run_that_met_a_limit_has_used_no_attempt(world: World, attempt: str | None, then: str) -> None:
    """It has none, or nought, only where somebody edited its record."""
    token = run(world)
    world.redis.hdel(f"{ROOT}:workspace:a", "attempt")
    if attempt:
        world.redis.hset(f"{ROOT}:workspace:a", "attempt", attempt)
    world.ask(end(world, token, "failed", retry_after=60))
    assert (record(world)["status"], record(world)["attempt"]) == ("queued", then)


def test_a_run_that_was_lost_too_often_is_kept_while_a_damaged_key_keeps_it_from_failing(world: World) -> None:
    world.ask(ops.Apply(settings=ops.apply.FleetSettings(max_attempts=1)))
    run(world)
    before = record(world)
    damage(world, "status:failed")
    world.set_clock(START + TTL)
    world.facts()
    assert names(ask(world, ops.Reap())) == ("damaged", "status:failed", "zset")
    assert (record(world), world.facts()) == (before, [])


def test_a_run_that_somebody_killed_and_whose_host_went_silent_was_killed(world: World) -> None:
    run(world)
    world.ask(ops.Kill(workspace="a"))
    world.set_clock(START + TTL)
    world.ask(ops.Reap())
    now = record(world)
    assert (now["status"], now["verdict"], now["question"]) == ("failed", "killed", "killed; its host went silent")


@pytest.mark.parametrize(("after", "left"), [(0, TTL), (TTL - 1, 1), (TTL, 0), (TTL + 5, 0)])
def test_a_grant_that_is_told_again_says_what_is_left_of_its_lease(world: World, after: int, left: int) -> None:
    run(world)
    world.set_clock(START + after)
    assert [grant.ttl for grant in claim(world).grants] == [left]


def test_the_pull_request_of_the_last_run_is_known_while_the_next_one_runs(world: World) -> None:
    token = run(world)
    url = "https://github.com/core/go-io/pull/7"
    world.ask(end(world, token, "failed", pr_url=url))
    world.ask(ops.Retry(workspace="a"))
    (grant,) = claim(world, 2).grants
    assert (grant.attempt, record(world)["status"], record(world)["pr_url"]) == (1, "running", url)


@pytest.mark.parametrize("held", [0, 1])
def test_the_fence_is_moved_by_a_beat_that_tells_of_a_later_token_and_by_no_other(world: World, held: int) -> None:
    runs = [Held(workspace="a", token=5)] * held
    world.ask(ops.Renew(host="h1", incarnation="i", held=runs))
    assert world.keys().get("fence") == ("5" if held else None)


def test_who_waits_for_the_end_of_a_delay_is_looked_at_also_when_an_asker_comes_first(world: World) -> None:
    """The reset is at 16:07:00 UTC, an hour and 20 s ahead: in the last hour before it there is no delay."""
    rates = Rates(reset_utc="16:07", sustained_delay=7_200_000, burst_window=3_600_000, burst_delay=0)
    world.ask(ops.Apply(rates={"codex": rates}))
    world.listen("h1")
    run(world)
    queue(world, "b")
    assert claim(world, 2).grants == ()
    assert world.keys()["timers"] == {"codex": START + 20_000}
    world.set_clock(START + 20_000)
    assert world.heard() == []
    assert world.ask(ops.Submit(workspace="c", agent="codex", asker="svc")).outcome == "granted"
    assert world.heard() == ["h1"]
    assert [grant.workspace for grant in claim(world, 3).grants] == ["b"]
