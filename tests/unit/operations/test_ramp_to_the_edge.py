"""Ramps at their edges: limits that change under them, an operator who is first to look, the last moment of a trial."""

from typing import Any

import pytest

from coordinator import operations as ops
from coordinator.operations.apply import Rates
from tests.model.ramp_model import HOUR, MINUTE, SPREAD, wait
from tests.model.world import ROOT, START, World
from tests.ramping import POOL, Pool

GATE = START + 60_000
OPENS = GATE + wait(POOL, GATE, 1)
LATER = OPENS + MINUTE + SPREAD  # what started at once holds, and more may start
OPERATORS = [ops.BackOff(key=POOL, clear=True), ops.Thaw(key=POOL)]


@pytest.fixture
def pool(world: World) -> Pool:
    return Pool(world)


def _token(pool: Pool, name: str) -> int:
    return int(str(pool.world.redis.hget(f"{ROOT}:workspace:{name}", "token")))


def test_a_default_that_is_raised_does_not_bring_back_what_was_over_under_the_old_one(pool: Pool) -> None:
    """Nobody had looked since the last step held, and a step of four is more than two may run."""
    keys = ["repo:api", "repo:web"]
    pool.world.ask(ops.Limit(key="repo:*", limit=2))
    for key in keys:
        pool.world.ask(ops.BackOff(key=key, until=GATE))
        pool.queue(*(f"{key[5:]}{number}" for number in range(9)), repo=key[5:])
    pool.at(GATE + SPREAD)
    for size in (1, 2):
        grants = pool.claim()
        assert len(grants) == size * len(keys)
        if size == 1:
            pool.end(*grants)
        pool.at(pool.now + MINUTE + SPREAD)
    assert all(pool.row(key) for key in keys)
    pool.world.ask(ops.Limit(key="repo:*", limit=100))
    assert [pool.row(key) for key in keys] == [None, None]
    assert len(pool.claim()) == 6 * len(keys)


def test_a_default_that_is_lowered_ends_the_ramps_beyond_it_at_once(pool: Pool) -> None:
    pool.world.ask(ops.BackOff(key="repo:web", until=GATE))
    pool.queue("a", "b", repo="web")
    pool.at(GATE + SPREAD)
    pool.end(*pool.claim())
    assert (pool.row("repo:web") or "").startswith("2 0 ")
    pool.world.ask(ops.Limit(key="repo:*", limit=1))
    assert (pool.row("repo:web"), pool.timer("repo:web")) == (None, None)


@pytest.mark.parametrize("opened", OPERATORS)
def test_an_operator_who_is_first_to_look_after_the_gate_ends_its_ramp(pool: Pool, opened: Any) -> None:
    pool.world.ask(ops.BackOff(key=POOL, until=GATE))
    pool.queue("a", "b", "c")
    pool.at(GATE + 1)
    pool.world.ask(opened)
    assert (pool.row(), pool.timer()) == (None, None)
    assert len(pool.claim()) == 3


@pytest.mark.parametrize("opened", OPERATORS)
@pytest.mark.parametrize("looked", [False, True])
def test_an_operator_ends_the_ramp_after_a_used_up_quota(pool: Pool, opened: Any, looked: bool) -> None:
    pool.world.ask(ops.Apply(rates={POOL: Rates(daily_limit=3, reset_utc="06:00")}))
    pool.queue(*(f"w{number}" for number in range(6)))
    pool.end(*pool.claim())
    pool.at(pool.why("w3").until)
    if looked:
        pool.world.ask(ops.Reap())
        assert pool.row()
    pool.world.ask(opened)
    assert pool.row() is None
    assert len(pool.claim()) == 3


def test_what_names_another_pool_is_counted_by_its_ramp_after_a_used_up_quota(pool: Pool) -> None:
    pool.world.ask(ops.Apply(rates={"gemini": Rates(daily_limit=3, reset_utc="06:00")}))
    pool.queue("a", "b", "c", "d", agent="gemini")
    pool.end(*pool.claim())
    reset = pool.why("d").until
    pool.world.ask(ops.Cancel(workspace="d"))
    pool.queue("e", "f", "g", keys=["gemini"])
    opens = reset + wait("gemini", reset, 1)
    pool.at(opens)
    assert [one.workspace for one in pool.claim()] == ["e"]
    assert pool.row("gemini") == f"1 1 {opens} {reset} e={opens + MINUTE}"


def test_of_many_on_trial_ten_are_told_by_name(pool: Pool) -> None:
    pool.world.ask(ops.BackOff(key=POOL, until=GATE))
    pool.queue(*(f"w{number:02}" for number in range(40)))
    pool.at(OPENS)
    for size in (1, 2, 4, 8):
        grants = pool.claim()
        assert len(grants) == size
        pool.end(*grants)
        pool.at(pool.timer() or 0)
    started = sorted(one.workspace for one in pool.claim())
    assert len(started) == 16
    assert [one.partition("=")[0] for one in (pool.row() or "").split()[4:]] == started
    holders = list(pool.why("w39").holders)
    assert len(holders) == 10
    assert holders == sorted(set(holders) & set(started))


def test_no_host_may_take_longer_than_an_hour_until_its_run_holds(pool: Pool) -> None:
    world = pool.world
    world.redis.hset(f"{ROOT}:control", "spawn_timeout", 24 * HOUR)
    world.ask(ops.BackOff(key="claude", until=GATE))
    world.ask(ops.Renew(host="p1", incarnation="i", pools=["claude"], slots=4, mode="push"))
    pool.queue("a", "b", agent="claude")
    opens = GATE + wait("claude", GATE, 1)
    pool.at(opens)
    world.ask(ops.Renew(host="p1", incarnation="i"))
    world.ask(ops.Reap())
    assert pool.row("claude") == f"1 1 {opens} {GATE} a={opens + HOUR}"
    no = pool.why("b")
    assert (no.reason, no.used, no.limit, no.holders) == ("ramp", 1, 1, ("a",))
    assert no.until == opens + HOUR + wait("claude", GATE, 2)


@pytest.mark.parametrize(("ran", "granted"), [(MINUTE - 1, 0), (MINUTE, 1)])
def test_one_that_is_killed_has_held_from_the_minute_on(pool: Pool, ran: int, granted: int) -> None:
    """Also while another of its step has not started."""
    pool.world.ask(ops.BackOff(key=POOL, until=GATE))
    pool.queue("first")
    pool.at(OPENS)
    pool.end(*pool.claim())
    opens = pool.timer() or 0
    pool.at(opens)
    pool.queue("second")
    grants = pool.claim()
    pool.at(opens + ran)
    pool.end(*grants, status="failed", verdict="killed")
    assert pool.row() == f"2 {granted} {opens} {GATE}"


@pytest.mark.parametrize(("waited", "holds"), [(2 * MINUTE - 1, 3 * MINUTE - 1), (2 * MINUTE, 2 * MINUTE)])
def test_a_host_that_confirms_a_run_that_has_held_already_changes_nothing(pool: Pool, waited: int, holds: int) -> None:
    world = pool.world
    world.ask(ops.Renew(host="p1", incarnation="i", pools=["claude"], slots=4, mode="push"))
    world.ask(ops.BackOff(key="claude", until=GATE))
    opens = GATE + wait("claude", GATE, 1)
    for name in ("first", "second"):
        pool.queue(name, agent="claude")
        pool.at(opens)
        world.ask(ops.Renew(host="p1", incarnation="i"))
        world.ask(ops.Reap())
        if name == "first":
            world.ask(ops.Complete(workspace=name, token=_token(pool, name), status="completed"))
            opens = pool.timer("claude") or 0
    assert pool.row("claude") == f"2 1 {opens} {GATE} second={opens + 2 * MINUTE}"
    pool.at(opens + waited)
    world.ask(ops.Confirm(workspace="second", token=_token(pool, "second")))
    assert pool.row("claude") == f"2 1 {opens} {GATE} second={opens + holds}"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        (f"1 -1 {OPENS} {GATE}", 9),
        (f"0 0 {OPENS} {GATE}", 9),
        (f"1 0 {LATER + HOUR} {GATE}", 0),
        (f"1 0 {LATER + HOUR + 1} {GATE}", 9),
        (f"1 1 {OPENS} {GATE} w0={LATER + HOUR}", 0),
        (f"1 1 {OPENS} {GATE} w0={LATER + HOUR + 1}", 2),
    ],
)
def test_a_row_that_was_edited_by_hand_shuts_its_key_for_an_hour_at_most(pool: Pool, text: str, start: int) -> None:
    pool.world.ask(ops.BackOff(key=POOL, until=GATE))
    pool.queue(*(f"w{number}" for number in range(10)))
    pool.at(OPENS)
    assert len(pool.claim()) == 1
    pool.world.redis.hset(f"{ROOT}:ramp", POOL, text)
    pool.at(LATER)
    assert len(pool.claim()) == start


def test_a_key_whose_timer_is_lost_opens_with_the_next_sweep(pool: Pool) -> None:
    pool.world.ask(ops.BackOff(key=POOL, until=GATE))
    pool.queue(*(f"w{number}" for number in range(3)))
    pool.at(OPENS)
    assert len(pool.claim()) == 1
    pool.world.redis.zrem(f"{ROOT}:timers", POOL)
    pool.world.listen("h1")
    pool.at(LATER)
    pool.world.ask(ops.Reap())
    assert pool.world.heard() == ["h1"]
    assert len(pool.claim()) == 2


def test_a_sweep_gives_eight_rows_their_timers(pool: Pool) -> None:
    rows: Any = {f"team-{number}": f"1 0 {START} {START}" for number in range(9)}
    pool.world.redis.hset(f"{ROOT}:ramp", mapping=rows)
    pool.world.ask(ops.Reap())
    timers: Any = pool.world.redis.zrange(f"{ROOT}:timers", 0, -1, withscores=True)
    assert len(timers) == 8
    assert {at for _, at in timers} == {START + HOUR}
