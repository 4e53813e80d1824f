"""Ramp: after its gate has opened a key does not burst: one goes first, and more go as those before them hold."""

from typing import Any

import pytest

from coordinator import operations as ops
from coordinator.operations.apply import Rates
from tests.model.ramp_model import HOUR, MINUTE, SPREAD, wait
from tests.model.world import ROOT, START, World
from tests.ramping import POOL, Pool, facts, go_on, meet_a_limit
from tests.servers import REAL

GATE = START + 60_000
OPENS = GATE + wait(POOL, GATE, 1)


@pytest.fixture
def pool(world: World) -> Pool:
    return Pool(world)


@pytest.fixture
def reopened(pool: Pool) -> Pool:
    """Ten wait for a gate that opens now."""
    pool.world.ask(ops.BackOff(key=POOL, until=GATE))
    pool.queue(*(f"w{number}" for number in range(10)))
    pool.at(OPENS)
    return pool


@pytest.mark.parametrize("alive", [False, True])
def test_a_hundred_that_meet_one_limit_come_back_one_two_four(pool: Pool, alive: bool) -> None:
    order = meet_a_limit(pool, 100, 60)
    assert pool.world.redis.hgetall(f"{ROOT}:backoff") == {POOL: str(GATE)}
    assert len(facts(pool.world, "RateLimitDetected")) == 1
    assert pool.waiting() == order
    attempts = {pool.world.redis.hget(f"{ROOT}:workspace:{name}", "attempt") for name in order}
    assert attempts == {"0"}
    steps = go_on(pool, alive=alive)
    assert [len(names) for _, names in steps] == [1, 2, 4, 8, 16, 32, 37]
    assert [name for _, names in steps for name in names] == order
    begin, allowance = OPENS, 1
    for at, _ in steps:
        assert at == begin
        allowance *= 2
        begin = at + (MINUTE if alive else 1000) + wait(POOL, GATE, allowance)
    assert len({wait(POOL, GATE, 2**step) for step in range(7)}) > 1


def test_no_gate_opens_early_and_no_two_keys_open_alike(pool: Pool) -> None:
    keys = [f"team-{number}" for number in range(8)]
    for key in keys:
        pool.world.ask(ops.BackOff(key=key, until=GATE))
        pool.queue(key, keys=[key])
    pool.at(GATE)
    pool.claim()
    opens = [pool.why(key).until if pool.why(key) else GATE for key in keys]
    assert opens == [GATE + wait(key, GATE, 1) for key in keys]
    assert GATE <= min(opens) < max(opens) < GATE + SPREAD


def test_why_a_key_waits_for_its_ramp(reopened: Pool) -> None:
    reopened.at(OPENS - 1)
    no = reopened.why("w0")
    assert (no.key, no.reason, no.used, no.limit, no.until) == (POOL, "ramp", 0, 1, OPENS)
    assert no.text == "codex has reopened: 1 may start in 1s"
    reopened.at(OPENS)
    assert [one.workspace for one in reopened.claim()] == ["w0"]
    no, until = reopened.why("w1"), OPENS + MINUTE + wait(POOL, GATE, 2)
    assert (no.key, no.reason, no.used, no.limit, no.until) == (POOL, "ramp", 1, 1, until)
    assert no.text == "codex has reopened: 1/1 started to try it, more when they hold, at the latest in 1m02s"
    assert reopened.row() == f"1 1 {OPENS} {GATE} w0={OPENS + MINUTE}"
    (view,) = [one for one in reopened.world.ask(ops.GetStatus()).keys if one.key == POOL]
    assert (view.reason, view.until, view.ramp and (view.ramp.allowance, view.ramp.granted)) == ("ramp", until, (1, 1))


@pytest.mark.parametrize("status", ["completed", "merged", "failed", "blocked"])
def test_an_ending_of_its_own_counts_as_a_success(reopened: Pool, status: str) -> None:
    reopened.end(*reopened.claim(), status=status)
    assert reopened.row() == f"2 0 {OPENS + wait(POOL, GATE, 2)} {GATE}"


@pytest.mark.parametrize("verdict", ["killed", "stopped", "lost", "throttled", "limited", "start_failed", "guard_died"])
def test_an_ending_that_says_nothing_gives_its_grant_back_at_once(reopened: Pool, verdict: str) -> None:
    """And who waits for the key is looked at in the same call: h1 waits, and is poked."""
    reopened.world.listen("h1")
    (first,) = reopened.claim()
    reopened.end(first, status="failed", verdict=verdict)
    assert reopened.row() == f"1 0 {OPENS} {GATE}"
    assert reopened.world.heard() == ["h1"]
    assert [one.workspace for one in reopened.claim()] == ["w1"]


def test_a_killed_one_gives_back_whatever_it_says(reopened: Pool) -> None:
    (first,) = reopened.claim()
    reopened.world.ask(ops.Kill(workspace=first.workspace))
    reopened.end(first)
    assert reopened.row() == f"1 0 {OPENS} {GATE}"


def test_one_that_ran_a_minute_held_whatever_becomes_of_it(reopened: Pool) -> None:
    (first,) = reopened.claim()
    reopened.at(OPENS + MINUTE)
    reopened.end(first, status="failed", verdict="killed")
    assert reopened.row() == f"2 0 {OPENS + MINUTE + wait(POOL, GATE, 2)} {GATE}"


def test_a_limit_met_again_shuts_the_key_and_the_ramp_starts_anew(reopened: Pool) -> None:
    reopened.end(*reopened.claim())
    reopened.at(reopened.timer() or 0)
    one, two = reopened.claim()
    reopened.end(one, status="failed", retry_after=30)
    again = reopened.now + 30_000
    assert (reopened.row(), reopened.why("w3").reason, reopened.why("w3").until) == (None, "backoff", again)
    reopened.end(two)
    reopened.at(again)
    assert reopened.claim() == []
    assert reopened.row() == f"1 0 {again + wait(POOL, again, 1)} {again}"


@pytest.mark.parametrize("opened", [ops.BackOff(key=POOL, clear=True), ops.Thaw(key=POOL)])
def test_an_operator_ends_it_at_once(reopened: Pool, opened: Any) -> None:
    assert len(reopened.claim()) == 1
    reopened.world.ask(opened)
    assert reopened.row() is None
    assert len(reopened.claim()) == 9


def test_a_gate_that_an_operator_clears_bursts(pool: Pool) -> None:
    pool.world.ask(ops.BackOff(key=POOL, until=GATE))
    pool.queue("a", "b", "c")
    pool.world.ask(ops.BackOff(key=POOL, clear=True))
    assert len(pool.claim()) == 3


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1, 1, 1]), (5, [1, 2, 4, 3])])
def test_it_ends_when_it_has_passed_the_limit(reopened: Pool, limit: int, sizes: list[int]) -> None:
    reopened.world.ask(ops.Limit(key=POOL, limit=limit))
    for size in sizes:
        grants = reopened.claim()
        assert len(grants) == size
        reopened.end(*grants)
        reopened.at(max(reopened.timer() or 0, reopened.now))
    assert reopened.row() is None


def test_the_fleet_may_ramp_too(pool: Pool) -> None:
    pool.world.ask(ops.BackOff(key="*", until=GATE))
    pool.queue("a", "b")
    pool.queue("c", agent="gemini")
    pool.world.listen("h1")
    pool.at(GATE)
    assert pool.claim() == []
    pool.at(GATE + wait("*", GATE, 1))
    pool.world.ask(ops.Reap())
    assert pool.world.heard() == ["h1"]
    (first,) = pool.claim()
    assert (pool.why("c").key, pool.why("c").reason) == ("*", "ramp")
    pool.end(first)
    pool.at(pool.timer("*") or 0)
    assert len(pool.claim()) == 2


def test_a_quota_that_was_used_up_ramps_after_its_reset(pool: Pool) -> None:
    pool.world.ask(ops.Apply(rates={POOL: Rates(daily_limit=3, reset_utc="06:00")}))
    pool.queue(*(f"w{number}" for number in range(6)))
    pool.end(*pool.claim())
    reset = pool.why("w3").until
    assert pool.why("w3").reason == "quota"
    pool.at(reset)
    assert pool.claim() == []
    opens = reset + wait(POOL, reset, 1)
    assert (pool.why("w3").reason, pool.why("w3").until, pool.timer()) == ("ramp", opens, opens)
    pool.at(opens)
    assert len(pool.claim()) == 1


def test_a_reset_without_a_used_up_quota_is_no_gate(pool: Pool) -> None:
    pool.world.ask(ops.Apply(rates={POOL: Rates(daily_limit=4, reset_utc="06:00")}))
    pool.queue(*(f"w{number}" for number in range(3)))
    pool.end(*pool.claim())
    pool.at(START + 86_400_000)
    pool.queue("a", "b", "c")
    assert len(pool.claim()) == 3


def test_no_ramp_of_an_earlier_end_comes_up_when_the_later_one_is_over(pool: Pool) -> None:
    """A used-up quota was reset, and a back-off ended just after that; each would begin after a moment of its own."""
    pool.world.ask(ops.Apply(rates={POOL: Rates(daily_limit=3, reset_utc="06:00")}))
    pool.queue(*(f"w{number}" for number in range(4)))
    pool.end(*pool.claim())
    reset = pool.why("w3").until or 0
    after = next(ms for ms in range(1, SPREAD) if ms + wait(POOL, reset + ms, 1) < wait(POOL, reset, 1))
    pool.world.ask(ops.BackOff(key=POOL, until=reset + after))
    pool.at(reset + after)
    pool.world.ask(ops.Reap())
    pool.at(reset + after + wait(POOL, reset + after, 1) + HOUR)
    pool.world.ask(ops.Reap())
    pool.queue("a", "b")
    assert len(pool.claim()) == 3


def test_a_ramp_that_nobody_uses_is_over_after_an_hour(pool: Pool) -> None:
    pool.world.ask(ops.BackOff(key="repo:web", until=GATE))
    pool.at(GATE)
    pool.world.ask(ops.Reap())
    opens = GATE + wait("repo:web", GATE, 1)
    for at, row in ((GATE, True), (opens, True), (GATE + HOUR - 1, True), (GATE + HOUR, False)):
        pool.at(at)
        pool.world.ask(ops.Reap())
        assert bool(pool.row("repo:web")) == row
    assert pool.timer("repo:web") is None
    assert not pool.world.redis.exists(f"{ROOT}:ramp", f"{ROOT}:backoff")


def test_a_push_host_has_to_confirm_before_its_minute_begins(pool: Pool) -> None:
    world = pool.world
    world.ask(ops.BackOff(key="claude", until=GATE))
    world.ask(ops.Renew(host="p1", incarnation="i", pools=["claude"], slots=4, mode="push"))
    pool.queue("a", "b", agent="claude")
    pool.at(GATE + wait("claude", GATE, 1))
    world.ask(ops.Renew(host="p1", incarnation="i"))
    world.ask(ops.Reap())
    assert (pool.row("claude") or "").endswith(f"a={pool.now + 2 * MINUTE}")
    token = int(str(world.redis.hget(f"{ROOT}:workspace:a", "token")))
    pool.at(pool.now + 5000)
    world.ask(ops.Confirm(workspace="a", token=token))
    assert (pool.row("claude") or "").endswith(f"a={pool.now + MINUTE}")
    pool.at(pool.now + 5000)
    world.ask(ops.Confirm(workspace="a", token=token))
    assert (pool.row("claude") or "").endswith(f"a={pool.now - 5000 + MINUTE}")


def test_a_run_that_was_there_already_is_no_grant(reopened: Pool) -> None:
    found = [{"workspace": "found", "agent": POOL, "status": "running"}]
    reopened.world.ask(ops.Track.model_validate({"workspaces": found, "host": "h7"}))
    assert reopened.row() == f"1 0 {OPENS} {GATE}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8",
        "nan 1 2 3",
        "-1 0 0 0",
        "1 1 99999999999999 5",
        "0x10 0 0 0",
        "1e13 0 0 0",
        "many",
        "2 0 0 0 w0 w1=x =5",
    ],
)
def test_a_row_that_was_edited_by_hand_ends_the_ramp_and_stops_nothing(reopened: Pool, text: str) -> None:
    reopened.claim()
    reopened.world.redis.hset(f"{ROOT}:ramp", POOL, text)
    reopened.world.ask(ops.GetStatus())
    reopened.at(OPENS + MINUTE + SPREAD)  # its timer still stands
    assert len(reopened.claim()) == 9
    reopened.at(OPENS + 2 * HOUR)
    reopened.world.ask(ops.Reap())
    assert reopened.row() is None


def test_rows_that_were_written_by_hand_get_their_timers_or_go(pool: Pool) -> None:
    pool.world.redis.hset(
        f"{ROOT}:ramp", mapping={"gemini": f"1 1 {START} {START} w9={START + 5000}", "old": "2 0 1 1"}
    )
    pool.queue("a", agent="gemini")
    pool.claim()
    pool.world.ask(ops.Reap())
    assert pool.world.redis.hkeys(f"{ROOT}:ramp") == ["gemini"]
    assert pool.timer("gemini") == START + 5000 + wait("gemini", START, 2)


def test_edited_times_of_those_on_trial_stop_nothing_for_long(reopened: Pool) -> None:
    reopened.claim()
    reopened.world.redis.hset(f"{ROOT}:ramp", POOL, f"1 1 {OPENS} {GATE} w0={OPENS + 99 * HOUR}")
    reopened.at(OPENS + MINUTE + SPREAD)
    assert len(reopened.claim()) == 2


@pytest.mark.parametrize("server_kind", REAL, indirect=True)  # a fake server counts no calls
def test_the_ramps_of_other_keys_cost_nothing_but_to_look(pool: Pool) -> None:
    """Counted by the server: as many calls as where one other key is shut, however many of them ramp."""
    redis = pool.world.redis

    def calls() -> int:
        redis.config_resetstat()
        pool.queue("b", agent="gemini")
        pool.end(*pool.claim())
        found: Any = redis.info("commandstats")
        return sum(row["calls"] for row in found.values())

    pool.world.ask(ops.BackOff(key="repo:r", until=GATE + HOUR))
    calls()
    before = calls()
    for number in range(20):
        pool.world.ask(ops.BackOff(key=f"repo:r{number}", until=GATE))
    pool.at(GATE)
    pool.world.ask(ops.Reap(limit=64))
    assert redis.hlen(f"{ROOT}:ramp") == 20
    assert calls() <= before
