"""claim: as much as the host has room for, in order, once a sequence number."""

from itertools import pairwise

import pytest

from coordinator.models import Grant
from coordinator.operations import BackOff, Claim, Freeze, Host, Limit, Renew, Thaw
from tests.servers import REAL
from tests.unit.operations.asking import Fleet


@pytest.mark.reference(77)
async def test_a_host_gets_no_more_than_its_slots_less_what_it_holds(fleet: Fleet) -> None:
    await fleet.host(slots=3)
    await fleet.queue("a", "b", "c", "d", "e")
    assert await fleet.granted(count=1) == ["a"]
    assert await fleet.granted(count=9) == ["b", "c"]
    full = await fleet.claim()
    assert (full.grants, full.refusal and full.refusal.text) == ((), "host h1 is full: 3/3")
    assert full.refusal is not None
    assert (full.refusal.reason, full.refusal.used, full.refusal.limit) == ("hosts_full", 3, 3)


async def test_a_grant_carries_what_was_submitted(fleet: Fleet) -> None:
    await fleet.host()
    said = {"task": "x", "repo": "io", "org": "core", "branch": "b", "source": "/src", "dir": "/d"}
    await fleet.queue("a", **said)
    (grant,) = (await fleet.claim()).grants
    lane = "codex codex repo:core/io org:core"
    assert grant == Grant(workspace="a", token=grant.token, ttl=300_000, attempt=1, agent="codex", lane=lane, **said)
    record = await fleet.record("a")
    assert (record.status, record.host, record.mode, record.token) == ("running", "h1", "pull", grant.token)
    assert await fleet.redis.zscore("{t}:leases", "a") == (record.started_at or 0) + 300_000


async def test_tokens_only_grow(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await fleet.queue("a", "b", "c", "d")
    grants = (await fleet.claim()).grants
    assert all(one.token < other.token for one, other in pairwise(grants))
    await fleet.end(grants[-1], "failed", retry_after=1)
    await fleet.store.run(BackOff(key="codex", clear=True))
    assert (await fleet.claim()).grants[0].token > grants[-1].token


async def test_the_last_claim_answers_the_same_again_and_an_older_one_nothing(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await fleet.queue("a", "b")
    first = Claim(host="h1", incarnation="i1", seq=5, count=1)
    (grant,) = (await fleet.store.run(first)).grants
    assert [one.token for one in (await fleet.store.run(first)).grants] == [grant.token]
    second = Claim(host="h1", incarnation="i1", seq=6)
    assert [one.workspace for one in (await fleet.store.run(second)).grants] == ["b"]
    assert (await fleet.store.run(first)).grants == ()
    await fleet.end((await fleet.store.run(second)).grants[0])
    assert (await fleet.store.run(second)).grants == ()  # what does not hold any more is not given again
    assert await fleet.redis.scard("{t}:held:h1") == 1


async def test_a_new_incarnation_counts_from_the_beginning(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.store.run(Claim(host="h1", incarnation="i1", seq=9))
    await fleet.store.run(Renew(host="h1", incarnation="i2"))
    await fleet.queue("a")
    assert [one.workspace for one in (await fleet.store.run(Claim(host="h1", incarnation="i2", seq=1))).grants] == ["a"]
    old = await fleet.store.run(Claim(host="h1", incarnation="i1", seq=10))
    assert old.refusal is not None
    assert (old.grants, old.refusal.text) == ((), "host h1 now belongs to another incarnation")


async def test_a_host_nobody_knows_and_a_quiet_one_get_nothing(fleet: Fleet) -> None:
    await fleet.queue("a")
    unknown = await fleet.claim("h9")
    assert unknown.refusal is not None
    assert unknown.refusal.text == "host h9 is not registered: renew first"
    await fleet.host("h1")
    await fleet.store.run(Host(host="h1", action="quiet"))
    quiet = await fleet.claim("h1")
    assert quiet.refusal is not None
    assert (quiet.grants, quiet.refusal.text) == ((), "host h1 is quiet")


@pytest.mark.reference(78, "W15")
async def test_priority_goes_first_then_who_came_first(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await fleet.queue("a", "b")
    await fleet.queue("low", priority=0)
    await fleet.queue("high", priority=9, repo="other")
    await fleet.queue("c", "urgent", priority=6)
    assert await fleet.granted() == ["high", "c", "urgent", "a", "b", "low"]


KEYS = ["*", "codex", "codex:big", "repo:core/io", "team"]


@pytest.mark.reference(56)
@pytest.mark.parametrize("at", range(len(KEYS)))
async def test_the_first_key_that_says_no_is_the_reason_frozen_before_shut_before_full(fleet: Fleet, at: int) -> None:
    await fleet.submit("a", "codex:big", org="core", repo="io", keys=["team"])
    for key in KEYS[at:]:
        await fleet.limit(key, 0)
    assert await _why(fleet) == (KEYS[at], "full")
    for key in KEYS[at:]:
        await fleet.store.run(BackOff(key=key, duration=60_000))
    assert await _why(fleet) == (KEYS[at], "backoff")
    for key in KEYS[at:]:
        await fleet.store.run(Freeze(key=key))
    assert await _why(fleet) == (KEYS[at], "frozen")
    await fleet.store.run(Thaw(key=KEYS[at]))
    assert await _why(fleet) == (KEYS[at], "backoff")


async def _why(fleet: Fleet) -> tuple[str, str] | None:
    no = await fleet.why("a")
    return None if no is None else (no.key, no.reason)


@pytest.mark.reference(10, 11, 12)
async def test_texts_are_the_ones_people_know(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    for number in range(6):
        await fleet.queue(f"c{number}")
    await fleet.limit("codex", 5)
    assert len(await fleet.granted()) == 5
    await fleet.queue("m0", "m1", agent="codex:gpt-5.4")
    no = await fleet.why("c5")
    assert no is not None
    assert (no.text, no.used, no.limit) == ("queue at capacity: total 5/5", 5, 5)
    assert no.holders == ("c0", "c1", "c2", "c3", "c4")
    await fleet.store.run(Limit(key="codex", clear=True))
    await fleet.limit("codex:gpt-5.4", 1)
    await fleet.granted()
    no = await fleet.why("m1")
    assert no is not None
    assert no.text == "queue at capacity: model gpt-5.4 1/1"
    await fleet.queue("ready")
    await fleet.store.run(Freeze(by="ana", reason="deploy"))
    refusal = (await fleet.claim()).refusal
    assert refusal is not None
    assert refusal.text == "queue is frozen by ana: deploy"


async def test_every_star_refusal_is_told_once_a_call_and_blocks_no_lane(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.limit("*", 1)
    await fleet.queue("a", "b")
    assert await fleet.granted() == ["a"]
    no = (await fleet.claim()).refusal
    assert no is not None
    assert (no.key, no.text, no.holders) == ("*", "queue at capacity: all 1/1", ("a",))
    assert await fleet.redis.exists("{t}:blocked") == 0


@pytest.mark.reference("W2")
async def test_time_alone_is_told_in_milliseconds(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.store.run(BackOff(key="codex", duration=60_000))
    await fleet.queue("a")
    answer = await fleet.claim()
    assert answer.grants == ()
    assert 50_000 < (answer.retry_in or 0) <= 60_000


@pytest.mark.reference(78, "W2", "W14")
@pytest.mark.parametrize("server_kind", REAL, indirect=True)
async def test_ten_thousand_behind_a_shut_gate_do_not_hold_up_the_one_that_is_ready(fleet: Fleet) -> None:
    await fleet.host("h1", "codex claude")
    await fleet.store.run(BackOff(key="codex", duration=60_000))
    for repo in range(100):
        await fleet.track([f"r{repo}/w{number}" for number in range(100)], repo=f"r{repo}")
    await fleet.queue("one", agent="claude", priority=0)
    assert await fleet.granted() == ["one"]
    assert await fleet.redis.zcard("{t}:status:queued") == 10_000


@pytest.mark.reference(78)
async def test_lanes_refused_one_after_the_other_wait_under_the_key_that_refused_them(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await fleet.limit("codex", 1)
    await fleet.limit("repo:*", 1)
    await fleet.queue("a", "b", repo="x")
    await fleet.queue("c", repo="y")
    (first,) = (await fleet.claim()).grants
    assert await fleet.redis.zrange("{t}:blocked", 0, -1) == ["codex"]
    await fleet.limit("codex", 9)
    assert await fleet.granted() == ["c"]
    assert await fleet.redis.zrange("{t}:blocked", 0, -1) == ["repo:x"]
    await fleet.end(first)
    assert await fleet.granted() == ["b"]
    assert await fleet.redis.exists("{t}:blocked") == 0


async def test_an_opened_group_is_looked_at_by_its_best_lane(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await fleet.limit("team", 0)
    await fleet.queue("low", keys=["team"], priority=1)
    await fleet.limit("team", 9)
    await fleet.queue("middle")
    await fleet.queue("high", keys=["team"], priority=9)
    assert await fleet.granted() == ["high", "middle", "low"]
