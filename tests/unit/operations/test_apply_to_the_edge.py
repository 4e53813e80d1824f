"""A configuration that takes many calls, meets what the clock has made, or stops at a damaged key."""

import json
import random
from typing import Any

import pytest

from coordinator import operations as ops
from coordinator.operations.apply import Rates
from tests.model.ramp_model import MINUTE, SPREAD
from tests.model.world import ROOT, START, World
from tests.ramping import POOL, Pool
from tests.unit.operations.stopping import changes_nothing, damage
from tests.unit.operations.test_push_hosts_to_the_edge import push_host
from tests.unit.operations.test_waiting_hosts import queue

GATE = START + 60_000
HALF_AN_HOUR = 1_800_000  # what a run of a lane without a history is charged


@pytest.mark.parametrize("kind", ["limits", "weights"])
def test_each_part_of_a_configuration_is_the_first_sixteen_by_name(world: World, kind: str) -> None:
    names = [f"k{number:03}" for number in range(200)]
    mixed = random.Random(1).sample(names, len(names))
    told = []
    while True:
        answer = world.ask(ops.Apply.model_validate({kind: dict.fromkeys(mixed, 3)}))
        told.append([change.path.removeprefix(f"{kind}.") for change in answer.changes])
        if not answer.more:
            break
    assert told == [names[at : at + 16] for at in range(0, 200, 16)]


def test_a_default_that_is_applied_higher_does_not_bring_back_what_was_over_under_the_old_one(world: World) -> None:
    """Nobody had looked since the last step held, and a step of four is more than two may run."""
    pool = Pool(world)
    world.ask(ops.Apply(limits={"repo:*": 2}))
    world.ask(ops.BackOff(key="repo:web", until=GATE))
    pool.queue(*(f"w{number}" for number in range(9)), repo="web")
    pool.at(GATE + SPREAD)
    for size in (1, 2):
        grants = pool.claim()
        assert len(grants) == size
        if size == 1:
            pool.end(*grants)
        pool.at(pool.now + MINUTE + SPREAD)
    assert pool.row("repo:web")
    world.ask(ops.Apply(limits={"repo:*": 100}))
    assert pool.row("repo:web") is None
    assert len(pool.claim()) == 6


def test_a_default_that_is_applied_lower_ends_the_ramps_beyond_it_at_once(world: World) -> None:
    pool = Pool(world)
    world.ask(ops.BackOff(key="repo:web", until=GATE))
    pool.queue("a", "b", repo="web")
    pool.at(GATE + SPREAD)
    pool.end(*pool.claim())
    assert (pool.row("repo:web") or "").startswith("2 0 ")
    world.ask(ops.Apply(limits={"repo:*": 1}))
    assert (pool.row("repo:web"), pool.timer("repo:web")) == (None, None)


@pytest.mark.parametrize("more", [{}, {"min_delay": 5}])
def test_a_quota_that_a_reset_has_ended_is_followed_by_its_ramp_also_where_it_is_changed_first(
    world: World, more: dict[str, int]
) -> None:
    """The reset is at 15:07:00 UTC, 20 s ahead."""
    pool = Pool(world)
    world.ask(ops.Apply(rates={POOL: Rates(reset_utc="15:07", daily_limit=1)}))
    pool.queue(*(f"w{number}" for number in range(9)))
    assert len(pool.claim()) == 1
    pool.at(START + 20_000 + SPREAD)
    world.ask(ops.Apply(rates={POOL: Rates(reset_utc="15:07", daily_limit=9, **more)}))
    words = (pool.row() or "").split()
    assert (words[0], words[1], words[3]) == ("1", "0", str(START + 20_000))
    assert len(pool.claim()) == 1


def test_weights_count_from_the_next_start_on_also_in_the_call_that_sets_them(world: World) -> None:
    closed = {"account:codex/a": 0}
    world.ask(ops.Apply(accounts={POOL: ["a"]}, limits=closed))
    queue(world, "a", keys=["team"])
    push_host(world, "p1")
    assert world.keys().get("held:p1") is None
    world.ask(ops.Apply(accounts={POOL: ["a", "b"]}, limits=closed, weights={"team": 2}))
    keys = world.keys()
    assert keys["held:p1"] == {"a"}
    assert keys["fair:codex"]["codex codex team"].split()[0] == str(1 + HALF_AN_HOUR // 2)


def test_the_rates_of_a_pool_one_of_whose_keys_is_damaged_stay(world: World) -> None:
    world.ask(ops.Limit(key=POOL, limit=5))
    damage(world, f"slots:{POOL}")
    changes_nothing(world, ops.Apply(rates={POOL: Rates(min_delay=5)}), f"slots:{POOL}", "set")


@pytest.mark.parametrize("key", ["accounts:codex", "groups:accounts:codex"])
def test_the_accounts_of_a_pool_one_of_whose_keys_is_damaged_stay(world: World, key: str) -> None:
    if key != "accounts:codex":
        world.ask(ops.Apply(accounts={POOL: ["a"]}, limits={"account:codex/a": 0}))
        queue(world, "w")
        assert world.keys()["blocked"] == {"accounts:codex": 0}
    damage(world, key)
    changes_nothing(world, ops.Apply(accounts={POOL: ["a", "b"]}), key, "set")


def _problems(world: World, **question: Any) -> list[tuple[str, str]]:
    text: Any = world.redis.fcall("dispatch_apply", 1, ROOT, json.dumps(question))
    answer = json.loads(text)
    assert answer["outcome"] == "invalid"
    return [(one["field"], one["problem"]) for one in answer["problems"]]


def test_all_that_is_wrong_with_a_question_is_told_in_the_order_of_its_fields(world: World) -> None:
    keys = {f"!{number}": 1 for number in range(9)}
    fields = [field for field, _ in _problems(world, weights=keys, limits=keys, by=1, accounts=7, hosts="h", thaw=3)]
    named = [f"{kind}.!{number}" for kind in ("limits", "weights") for number in range(9)]
    assert fields == ["accounts", "by", "hosts", *named[:9], "thaw", *named[9:]]


def test_wrong_names_that_look_alike_once_they_are_cut_are_all_told(world: World) -> None:
    keys = {f"{'!' * 60}{number}": 1 for number in range(9)}
    why = "must be * or a limit key like repo:core/go-io"
    assert _problems(world, limits=keys) == [(f"limits.{'!' * 60}", why)] * 9
