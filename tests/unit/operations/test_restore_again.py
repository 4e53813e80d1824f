"""restore where the server knows something else of the workspace: an older run, a newer wish, an odd lane."""

from typing import Any

import pytest

from coordinator.errors import StoreUnusable
from coordinator.models import Grant
from coordinator.operations import Apply, GetStatus, Kill, Query, Reap, Renew, Submit, Thaw
from coordinator.operations.apply import FleetSettings
from coordinator.operations.restore import Restored
from tests.unit.operations.asking import Fleet
from tests.unit.operations.test_restore import (
    TTL,
    beat,
    emptied,
    ended,
    everything,
    facts,
    known,
    of_status,
    restore,
    running,
    told,
)


async def test_what_was_said_of_an_older_run_is_not_said_of_the_one_that_is_restored(fleet: Fleet) -> None:
    """The server lost that the older run ended, was asked for anew, and was granted."""
    await fleet.host("h1", machine="m1", labels=["gpu"])
    (old,) = await running(fleet, "a", labels=["gpu"], priority=7, repo="go-io")
    await fleet.store.run(Kill(workspace="a", by="ana"))
    await fleet.redis.hset("{t}:workspace:a", mapping={"question": "which?", "ended_at": 5, "verdict": "lost"})
    new = Grant(workspace="a", token=old.token + 5, ttl=1, agent="codex", lane="codex codex")
    assert (await restore(fleet, told(new))).count == 1
    run = await fleet.record("a")
    assert (run.kill, run.question, run.ended_at, run.verdict) == (None, None, None, None)
    assert (run.labels, run.repo, run.priority) == ((), None, 5)
    assert (await beat(fleet, new)).kill == ()


async def test_an_ending_that_is_told_again_does_not_take_what_was_asked_for_since(fleet: Fleet) -> None:
    (grant,) = await running(fleet, "a")
    await fleet.end(grant)
    await fleet.store.run(Submit(workspace="a", agent="codex", again=True))
    assert await restore(fleet, ended(grant)) == Restored(count=0, ttl=TTL)
    assert await restore(fleet, told(grant)) == Restored(count=0, lost=("a",), ttl=TTL)
    assert [one.workspace for one in await of_status(fleet, "queued")] == ["a"]
    assert await fleet.granted() == ["a"]


@pytest.mark.parametrize("ago", [None, 3_600_000])
async def test_runs_that_failed_late_are_no_quick_failures(fleet: Fleet, ago: int | None) -> None:
    grants = await running(fleet, "a", "b", "c")
    now = (await fleet.store.run(GetStatus())).now
    await emptied(fleet)
    await beat(fleet)
    began = {} if ago is None else {"started_at": now - ago}
    await restore(fleet, *(ended(grant, "failed") | began for grant in grants))
    assert await facts(fleet, "RateLimitDetected") == []
    assert len((await fleet.store.run(Query(status="failed"))).workspaces) == 3


async def test_a_run_that_is_told_holds_a_lease_as_long_as_the_answer_says(fleet: Fleet) -> None:
    first, second = await running(fleet, "a", "b")
    await fleet.store.run(Apply(settings=FleetSettings(lease_ttl=90_000)))
    await fleet.redis.zadd("{t}:leases", {"a": 5})
    answer = await restore(fleet, told(first), told(second.model_copy(update={"token": second.token + 1})))
    now = (await fleet.store.run(GetStatus())).now
    found: Any = await fleet.redis.zrange("{t}:leases", 0, -1, withscores=True)
    leases: dict[str, float] = dict(found)
    assert answer.ttl == 90_000
    assert all(now + 80_000 < leases[name] <= now + 90_000 for name in ("a", "b")), (now, leases)


async def test_two_runs_of_one_workspace_in_one_question(fleet: Fleet) -> None:
    (first,) = await running(fleet, "a")
    second = first.model_copy(update={"token": first.token + 1, "attempt": 2})
    await emptied(fleet)
    await beat(fleet)
    await restore(fleet, ended(first, "failed"), told(second))
    run = await fleet.record("a")
    assert (run.status, run.token, run.question, run.runs) == ("running", second.token, None, 2)
    assert await fleet.redis.scard("{t}:slots:codex") == 1


KEYS = "codex codex:big repo:core/go-io org:core"
EIGHT, LABELS = ("".join(f"+l{at}" for at in range(8)), " ".join(f"label:l{at}" for at in range(8)))
TEAMS = " ".join(f"team:{at}" for at in range(8))  # with those of agent, repo, org and labels the most there may be


@pytest.mark.parametrize(
    ("lane", "kept"),
    [
        ("codex@h1+a codex codex:big repo:core/go-io org:core label:a team #17", None),
        ("codex codex", "codex codex codex:big repo:core/go-io org:core"),
        ("codex codex * team team", "codex codex codex:big repo:core/go-io org:core team"),
        ("codex+b+a codex", "codex+a+b codex codex:big repo:core/go-io org:core label:a label:b"),
        (f"codex{EIGHT} {KEYS} {LABELS} #19", None),
        (f"codex{EIGHT}+l8 {KEYS} {LABELS} label:l8", f"codex {KEYS}"),
        (f"codex{EIGHT} {KEYS} {LABELS} {TEAMS}", None),
        (f"codex{EIGHT} {KEYS} {LABELS} {TEAMS} team:8", f"codex {KEYS}"),
        (f"codex {KEYS} #20", f"codex {KEYS}"),
        ("codex@? codex", "codex codex codex:big repo:core/go-io org:core"),
        ("codex codex " + " ".join(f"k{at}" for at in range(60)), "codex codex codex:big repo:core/go-io org:core"),
        ("codex" + "".join(f"+l{at}" for at in range(60)) + " codex", "codex codex codex:big repo:core/go-io org:core"),
    ],
)
async def test_a_lane_is_one_that_a_submit_could_have_made(fleet: Fleet, lane: str, kept: str | None) -> None:
    await beat(fleet)
    run = {"workspace": "a", "token": 5, "agent": "codex:big", "repo": "go-io", "org": "core", "lane": lane}
    await restore(fleet, run)
    assert (await everything(fleet))["workspace:a"]["lane"] == (kept or lane)


async def test_an_ending_that_history_has_forgotten_is_not_counted_again(fleet: Fleet) -> None:
    """The server came back with all that it knew, of which what has ended is forgotten at once."""
    await fleet.store.run(Apply(settings=FleetSettings(history=0)))
    (grant,) = await running(fleet, "a")
    await fleet.end(grant)
    await fleet.store.run(Reap())
    await fleet.redis.function_flush()
    await beat(fleet)
    assert await restore(fleet, ended(grant)) == Restored(count=0, ttl=TTL)
    assert (await fleet.facts()).count("AgentCompleted") == 1
    later = grant.model_copy(update={"token": grant.token + 5})
    assert (await restore(fleet, ended(later))).count == 1, "of this grant it has never heard"


@pytest.mark.parametrize("more", [{}, {"ending": {"workspace": "a", "token": 0, "status": "failed"}}])
async def test_a_token_that_no_run_has_is_lost(fleet: Fleet, more: dict[str, Any]) -> None:
    await beat(fleet)
    answer = await restore(fleet, {"workspace": "a", "token": 0, "agent": "codex"} | more)
    assert (answer.count, answer.lost) == (0, () if more else ("a",))
    assert await of_status(fleet, None) == ()  # of any


async def test_an_account_whose_slots_are_damaged_stops_all_of_it(fleet: Fleet) -> None:
    await beat(fleet)
    await fleet.redis.set("{t}:slots:account:codex/work", "damaged")
    before = await everything(fleet)
    with pytest.raises(StoreUnusable, match="account:codex/work"):
        await restore(fleet, {"workspace": "a", "token": 5, "agent": "codex", "account": "work"})
    assert await everything(fleet) == before


async def test_a_push_host_has_no_guard_whose_word_is_a_proof_of_death(fleet: Fleet) -> None:
    await fleet.host("h1", machine="m1", mode="push", epoch=0)
    await restore(fleet, {"workspace": "a", "token": 5, "agent": "codex"})
    assert (await fleet.record("a")).mode == "push"
    await fleet.host("h1", machine="m1", mode="push", epoch=(await beat(fleet)).epoch)
    await fleet.lapse("a")
    (lost,) = (await fleet.store.run(Reap())).lost
    assert lost.status == "blocked"


async def test_the_ending_of_a_forgotten_run_that_was_the_last_drains_the_queue(fleet: Fleet) -> None:
    await beat(fleet)
    ending = {"workspace": "a", "token": 5, "status": "completed"}
    await restore(fleet, {"workspace": "a", "token": 5, "agent": "codex", "ending": ending})
    assert [fact["completed"] for fact in await facts(fleet, "QueueDrained")] == [1]


async def test_all_starts_of_a_run_are_counted_also_those_that_the_server_forgot(fleet: Fleet) -> None:
    """It remembers the workspace as waiting for its first run; its host was granted the third."""
    await fleet.queue("a")
    await beat(fleet)
    token = (await fleet.store.run(GetStatus())).now + 1000
    await restore(fleet, {"workspace": "a", "token": token, "agent": "codex", "attempt": 3})
    run = await fleet.record("a")
    assert (run.attempt, run.runs) == (3, 3)


HELD = {"workspace": "a", "token": 5, "agent": "codex"}


async def frozen_by(fleet: Fleet) -> str | None:
    """Who froze the fleet; `-`: it is not frozen."""
    status = await fleet.store.run(GetStatus())
    return status.freeze.by if status.freeze else "-"


async def test_who_tells_an_empty_server_of_runs_freezes_it_before_the_environment_thaws_it(fleet: Fleet) -> None:
    await emptied(fleet, thawed=False)
    await beat(fleet)
    await restore(fleet, HELD)
    await fleet.store.run(Apply(if_new=True, thaw=True))
    assert await frozen_by(fleet) == "restore"


async def test_who_tells_an_empty_server_of_runs_freezes_it_after_the_environment_thawed_it(fleet: Fleet) -> None:
    await emptied(fleet, thawed=False)
    await fleet.store.run(Apply(if_new=True, thaw=True))
    await beat(fleet)
    assert await frozen_by(fleet) == "-"
    await restore(fleet, HELD)
    assert await frozen_by(fleet) == "restore"
    assert [(fact["key"], fact["by"]) for fact in await facts(fleet, "Frozen")] == [("*", "restore")]
    await fleet.store.run(Thaw())
    await restore(fleet, HELD | {"workspace": "b", "token": 6})
    assert await frozen_by(fleet) == "-"


async def test_a_replica_that_remembers_thaws_what_was_frozen_for_want_of_a_memory(fleet: Fleet) -> None:
    await emptied(fleet, thawed=False)
    await beat(fleet)
    await restore(fleet, HELD)
    await fleet.store.run(Apply(if_new=True, thaw=True, hosts=["h1"]))
    await beat(fleet)
    await restore(fleet, HELD | {"workspace": "b", "token": 6})
    assert await frozen_by(fleet) == "-"


async def test_a_server_without_its_last_words_is_as_it_was_before_them(fleet: Fleet) -> None:
    await emptied(fleet, thawed=False)
    await fleet.store.run(Apply(if_new=True, thaw=True))
    await known(fleet)
    await fleet.redis.function_flush()  # a restart
    await beat(fleet)
    await restore(fleet, HELD)
    assert await frozen_by(fleet) == "-"


async def test_what_a_push_host_tells_freezes_nothing(fleet: Fleet) -> None:
    await emptied(fleet, thawed=False)
    await fleet.store.run(Apply(if_new=True, thaw=True))
    await fleet.store.run(Renew(host="h1", incarnation="i1", machine="m1", mode="push", pools=["codex"], slots=9))
    await restore(fleet, HELD)
    assert await frozen_by(fleet) == "-"
