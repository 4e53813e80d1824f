"""renew: a beat registers the host, moves its leases on, and tells it what it must know."""

import pytest

from coordinator.models import Grant
from coordinator.operations import Hosts, Kill, Renew
from coordinator.operations.complete import HoldersEnding
from coordinator.operations.renew import Renewed, Taken
from tests.unit.operations.asking import Fleet


async def _deadline(fleet: Fleet, name: str) -> float:
    return await fleet.redis.zscore("{t}:leases", name) or 0.0


async def _running(fleet: Fleet, *names: str) -> list[Grant]:
    await fleet.host()
    await fleet.queue(*names)
    return list((await fleet.claim()).grants)


async def test_a_beat_registers_and_the_next_may_leave_out_what_did_not_change(fleet: Fleet) -> None:
    await fleet.host("h1", "codex claude", slots=3, labels=["gpu"], machine="m1")
    await fleet.beat("h1")
    (view,) = (await fleet.store.run(Hosts())).hosts
    assert (view.host, view.state, view.slots, view.pools, view.labels) == (
        "h1",
        "live",
        3,
        ("codex", "claude"),
        ("gpu",),
    )
    assert (view.mode, view.machine, view.incarnation) == ("pull", "m1", "i1")


@pytest.mark.reference(58)
async def test_a_beat_moves_deadlines_on(fleet: Fleet) -> None:
    (grant,) = await _running(fleet, "a")
    await fleet.lapse("a")
    answer = await fleet.beat("h1", grant)
    assert (answer.lost, answer.kill, answer.unseen, answer.ttl) == ((), (), (), 300_000)
    assert await _deadline(fleet, "a") > 1


async def test_what_is_not_the_holders_is_lost(fleet: Fleet) -> None:
    first, second = await _running(fleet, "a", "b")
    ghost = first.model_copy(update={"workspace": "nobody"})
    stale = second.model_copy(update={"token": second.token - 1})
    await fleet.host("h2")
    answer = await fleet.beat("h2", first)
    assert answer.lost == ("a",)
    answer = await fleet.beat("h1", ghost, stale, first)
    assert (answer.lost, [one.workspace for one in answer.unseen]) == (("nobody", "b"), ["b"])


async def test_a_grant_that_never_arrived_is_given_again(fleet: Fleet) -> None:
    first, second = await _running(fleet, "a", "b")
    answer = await fleet.beat("h1", first)
    assert [(one.workspace, one.token) for one in answer.unseen] == [("b", second.token)]


async def test_a_grant_that_is_told_again_is_not_renewed(fleet: Fleet) -> None:
    await _running(fleet, "a")
    await fleet.redis.zincrby("{t}:leases", -100_000, "a")
    before = await fleet.redis.zscore("{t}:leases", "a")
    (grant,) = (await fleet.beat("h1")).unseen
    assert grant.ttl <= 200_000
    assert await fleet.redis.zscore("{t}:leases", "a") == before


async def test_what_another_machine_was_granted_is_not_told_to_the_next(fleet: Fleet) -> None:
    await fleet.host("h1", machine="m1")
    await fleet.queue("a")
    await fleet.claim()
    await fleet.redis.hset("{t}:host:h1", "beat", "1")
    for _ in range(2):
        answer = await fleet.store.run(Renew(host="h1", incarnation="i2", machine="m2"))
        assert isinstance(answer, Renewed)
        assert answer.unseen == ()


async def test_an_askers_run_is_never_unseen(fleet: Fleet) -> None:
    await fleet.host("svc")
    await fleet.ask_for("a")
    assert (await fleet.beat("svc")).unseen == ()


async def test_an_askers_lease_moves_on_by_its_own_ttl(fleet: Fleet) -> None:
    grant = await fleet.ask_for("a", ttl=50_000_000)
    before = await _deadline(fleet, "a")
    await fleet.host("svc")
    await fleet.lapse("a")
    assert (await fleet.beat("svc", grant)).lost == ()
    assert await _deadline(fleet, "a") >= before


async def test_a_run_that_somebody_wants_ended_is_named_until_it_has(fleet: Fleet) -> None:
    first, second = await _running(fleet, "a", "b")
    async with fleet.listening("h1") as pokes:
        await fleet.store.run(Kill(workspace="a", by="ana"))
        assert await pokes.next() == "h1"
    assert (await fleet.beat("h1", first, second)).kill == ("a",)
    assert (await fleet.beat("h1", first, second)).kill == ("a",)
    await fleet.end(first, "failed")
    assert (await fleet.beat("h1", second)).kill == ()


async def test_endings_are_repeated_and_count_once(fleet: Fleet) -> None:
    first, second = await _running(fleet, "a", "b")
    ending = HoldersEnding(workspace="a", token=first.token, status="merged")
    for _ in range(2):
        answer = await fleet.store.run(Renew(host="h1", incarnation="i1", endings=[ending]))
        assert isinstance(answer, Renewed)
        assert [one.workspace for one in answer.unseen] == ["b"]
    assert (await fleet.record("a")).status == "merged"
    assert (await fleet.facts()).count("AgentCompleted") == 1
    late = HoldersEnding(workspace="b", token=second.token - 1, status="failed")
    await fleet.store.run(Renew(host="h1", incarnation="i1", endings=[late]))
    assert (await fleet.record("b")).status == "running"


async def test_another_machine_with_the_same_name_is_refused_while_beats_are_fresh(fleet: Fleet) -> None:
    await fleet.host("h1", machine="m1")
    other = Renew(host="h1", incarnation="i2", machine="m2")
    answer = await fleet.store.run(other)
    assert isinstance(answer, Taken)
    assert (answer.host, answer.machine) == ("h1", "m1")
    assert 0 < answer.retry_in <= 30_000
    await fleet.redis.hset("{t}:host:h1", "beat", "1")
    later = await fleet.store.run(other)
    assert isinstance(later, Renewed)


@pytest.mark.reference(5, "W11")
async def test_a_restarted_worker_of_the_same_machine_takes_over_and_holds_on(fleet: Fleet) -> None:
    await fleet.host("h1", machine="m1")
    await fleet.queue("a")
    (grant,) = (await fleet.claim()).grants
    held = [{"workspace": "a", "token": grant.token}]
    answer = await fleet.store.run(
        Renew.model_validate({"host": "h1", "incarnation": "i2", "machine": "m1", "held": held})
    )
    assert isinstance(answer, Renewed)
    assert (answer.lost, answer.unseen) == ((), ())


async def test_a_higher_token_lifts_the_fence(fleet: Fleet) -> None:
    (grant,) = await _running(fleet, "a")
    ahead = grant.model_copy(update={"workspace": "from-before", "token": grant.token + 10_000_000})
    assert (await fleet.beat("h1", ahead)).lost == ("from-before",)
    await fleet.queue("b")
    assert (await fleet.claim()).grants[0].token > ahead.token


async def test_a_beat_tells_of_another_epoch_when_the_server_has_lost_what_it_knew(fleet: Fleet) -> None:
    first = await fleet.host("h1")
    assert (await fleet.beat("h1")).epoch == first.epoch
    await fleet.redis.flushall()
    assert ((await fleet.host("h1")).epoch or 0) > (first.epoch or 0) > 0


async def test_a_host_says_in_a_beat_why_it_takes_no_work_until_it_says_nothing(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.beat("h1", trouble="90 MiB of memory are free")
    assert (await fleet.store.run(Hosts())).hosts[0].trouble == "90 MiB of memory are free"
    await fleet.beat("h1")
    assert (await fleet.store.run(Hosts())).hosts[0].trouble is None
