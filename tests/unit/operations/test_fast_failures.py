"""Fast failures in a row mean that a provider refuses a whole pool: it rests, on every path, until that is over."""

import json
from typing import Any

import pytest

from coordinator import operations as ops
from coordinator.models import KeyView
from tests.model.ramp_model import wait
from tests.model.world import ROOT, START, World

MINUTE, REST = 60_000, 1_800_000


def run(world: World, name: str, status: str, after: int = 1000, **more: Any) -> Any:
    """One run that ends so long after its start; a refusal where it may not start."""
    answer: Any = world.ask(ops.Submit(workspace=name, agent="codex:big", asker="svc", otherwise="refuse", again=True))
    if answer.outcome != "granted":
        return answer.refusal
    now = int(str(world.redis.get(f"{ROOT}:clock")))
    world.set_clock(now + after)
    return world.ask(ops.Complete.model_validate({"workspace": name, "status": status, **more}))


def key(world: World) -> KeyView:
    (found,) = [one for one in world.ask(ops.GetStatus()).keys if one.key == "codex"]
    return found


def facts(world: World, kind: str) -> list[dict[str, Any]]:
    rows: Any = world.redis.xrange(f"{ROOT}:events")
    return [json.loads(fields["json"]) for _, fields in rows if fields["type"] == kind]


@pytest.mark.reference(72, 73, 75, 76, "W4")
def test_the_third_fast_failure_in_a_row_rests_the_pool_for_half_an_hour_on_every_path(world: World) -> None:
    for number in range(2):
        assert run(world, f"w{number}", "failed").outcome == "completed"
    assert (key(world).fast_failures, key(world).reason) == (2, None)
    run(world, "w2", "failed")
    until = START + 3000 + REST
    assert (key(world).fast_failures, key(world).reason, key(world).until) == (3, "backoff", until)
    assert facts(world, "RateLimitDetected") == [{"type": "RateLimitDetected", "pool": "codex", "duration": "30m0s"}]
    no = run(world, "w3", "completed")  # an asker too
    assert (no.reason, no.key, no.until) == ("backoff", "codex", until)
    world.ask(ops.Submit(workspace="w4", agent="codex"))
    assert world.ask(ops.Claim(host="h1", incarnation="i", seq=1)).grants == ()
    world.load()  # it is in the keys: a server that comes back knows it
    world.ask(ops.Renew(host="h1", incarnation="i"))
    assert run(world, "w3", "completed").until == until
    world.set_clock(until + wait("codex", until, 1))
    world.ask(ops.Submit(workspace="w5", agent="codex"))
    assert [one.workspace for one in world.ask(ops.Claim(host="h1", incarnation="i", seq=2)).grants] == ["w4"]
    refusal = world.ask(ops.Explain(workspace="w5")).refusal
    assert refusal is not None
    assert (refusal.key, refusal.reason) == ("codex", "ramp")  # a rest ends in a ramp too


@pytest.mark.reference(73)
@pytest.mark.parametrize("status", ["completed", "blocked", "merged", "ready-for-review"])
def test_any_other_ending_ends_the_row(world: World, status: str) -> None:
    for name in ("a", "b"):
        run(world, name, "failed")
    run(world, "c", status)
    assert world.redis.exists(f"{ROOT}:fail_count") == 0
    for name in ("d", "e"):
        run(world, name, "failed")
    assert key(world).reason is None


@pytest.mark.reference(73)
def test_a_failure_after_a_minute_of_work_ends_the_row_too(world: World) -> None:
    for name in ("a", "b"):
        run(world, name, "failed", after=MINUTE - 1)
    run(world, "c", "failed", after=MINUTE)
    assert world.redis.exists(f"{ROOT}:fail_count") == 0


@pytest.mark.parametrize("verdict", ["start_failed", "guard_died"])
def test_an_agent_that_nobody_saw_work_ends_no_row_however_late_and_counts_when_it_is_fast(
    world: World, verdict: str
) -> None:
    for name in ("a", "b"):
        run(world, name, "failed")
    run(world, "c", "failed", after=MINUTE, verdict=verdict)
    assert key(world).fast_failures == 2
    run(world, "d", "failed", verdict=verdict)
    assert (key(world).fast_failures, key(world).reason) == (3, "backoff")


@pytest.mark.reference(74)
def test_after_the_rest_the_next_fast_failure_rests_it_again(world: World) -> None:
    for name in ("a", "b", "c"):
        run(world, name, "failed")
    world.set_clock(START + REST + MINUTE)
    assert run(world, "d", "failed").outcome == "completed"
    assert (key(world).fast_failures, key(world).until) == (4, START + REST + MINUTE + 1000 + REST)


def test_clearing_the_gate_by_hand_forgives_the_failures(world: World) -> None:
    for name in ("a", "b", "c"):
        run(world, name, "failed")
    world.ask(ops.BackOff(key="codex", clear=True, by="ana"))
    assert world.redis.exists(f"{ROOT}:fail_count", f"{ROOT}:backoff") == 0
    run(world, "d", "failed")
    assert key(world).reason is None


@pytest.mark.parametrize("verdict", ["killed", "stopped", "lost"])
def test_what_others_ended_is_no_failure_and_forgives_none(world: World, verdict: str) -> None:
    for name in ("a", "b"):
        run(world, name, "failed")
    for name in ("c", "d", "e"):
        run(world, name, "failed", verdict=verdict)
    assert (key(world).fast_failures, key(world).reason) == (2, None)


def test_a_usage_limit_is_no_failure(world: World) -> None:
    for name in ("a", "b"):
        run(world, name, "failed")
    run(world, "c", "failed", retry_after=5)
    assert (key(world).fast_failures, key(world).until) == (2, START + 3000 + 5000)


def test_a_gate_that_is_shut_for_longer_stays_so(world: World) -> None:
    for name in ("a", "b"):
        run(world, name, "failed")
    world.ask(ops.Submit(workspace="c", agent="codex", asker="svc"))
    world.ask(ops.BackOff(key="codex", duration=2 * REST, reason="quota"))
    world.ask(ops.Complete(workspace="c", status="failed"))
    assert key(world).until == START + 2000 + 2 * REST
    assert facts(world, "RateLimitDetected") == []


def test_the_failures_of_one_pool_are_not_anothers(world: World) -> None:
    for name in ("a", "b", "c"):
        run(world, name, "failed")
    answer = world.ask(ops.Submit(workspace="o", agent="gemini", asker="svc", otherwise="refuse"))
    assert answer.outcome == "granted"


@pytest.mark.reference(72, 75)
@pytest.mark.parametrize("ending", [{"retry_after": 1800}, {}], ids=["a named time", "fast failures"])
def test_of_many_runs_that_meet_one_limit_at_once_the_first_tells_it(world: World, ending: dict[str, Any]) -> None:
    names = [f"w{number}" for number in range(12)]
    for name in names:
        world.ask(ops.Submit(workspace=name, agent="codex", asker="svc"))
    for after, name in enumerate(names):
        world.set_clock(START + 5 * after)
        world.ask(ops.Complete.model_validate({"workspace": name, "status": "failed", **ending}))
    assert key(world).until == START + 55 + REST  # nothing starts before the last of them allows it
    assert facts(world, "RateLimitDetected") == [{"type": "RateLimitDetected", "pool": "codex", "duration": "30m0s"}]
    assert [one["channel"] for one in facts(world, "ChannelPush")].count("ratelimit.status") == 1
