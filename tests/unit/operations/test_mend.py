"""mend by the clock: what is only suspicious waits for the end of its lease, and all of it for hosts not yet heard."""

import pytest

from coordinator.operations import Apply, Claim, Faults, GetStatus, Mend, Query, Reap, Renew, Restore, Submit
from coordinator.operations.apply import FleetSettings
from coordinator.operations.claim import Claimed
from coordinator.operations.faults import MOST_KEYS
from coordinator.operations.mend import Mended, NotMended
from coordinator.operations.restore import HeldRun
from tests.model.world import ROOT, START, World


def claim(world: World, seq: int) -> list[str]:
    answer = world.ask(Claim(host="h1", incarnation="i", seq=seq))
    assert isinstance(answer, Claimed)
    return [grant.workspace for grant in answer.grants]


def beat(world: World, **more: object) -> None:
    world.ask(Renew.model_validate({"host": "h1", "incarnation": "i", **more}))


def token(world: World, name: str) -> int:
    (record,) = world.ask(Query(workspace=name)).workspaces
    assert record.token
    return record.token


def mended(world: World) -> Mended:
    """What a whole mend does."""
    answer = world.ask(Mend(keys=sorted(world.keys()), by="ana"))
    assert isinstance(answer, Mended)
    assert answer.cursor is None
    return answer


def two_of_one_slot(world: World) -> None:
    """a runs under the limit, b waits for its slot."""
    world.ask(Apply(limits={"codex": 1}))
    for name in ("a", "b"):
        world.ask(Submit(workspace=name, agent="codex", org="o", repo="r"))
    assert claim(world, 1) == ["a"]


def test_the_slots_of_a_deleted_record_are_freed_when_its_lease_is_over_and_who_waits_starts(world: World) -> None:
    two_of_one_slot(world)
    world.redis.delete(f"{ROOT}:workspace:a")
    answer = mended(world)
    assert {(one.klass, one.key) for one in answer.found} == {
        ("leaked", key) for key in ("slots:*", "slots:codex", "slots:org:o", "slots:repo:o/r", "held:h1", "leases",
                                    "status:running")
    }  # fmt: skip
    assert {(one.mend, one.until) for one in answer.found} == {(None, START + 300_000)}
    assert (answer.count, claim(world, 2)) == (0, [])
    world.set_clock(START + 300_000)
    world.ask(Reap())
    assert claim(world, 3) == []  # its slots stay taken
    assert mended(world).count == 6
    assert claim(world, 4) == ["b"]
    facts = [fact for fact in world.facts() if fact["type"] == "Mended"]
    assert len(facts) == 6
    told = {"class": "leaked", "workspace": "a", "by": "ana", "text": "there is no record of it"}
    assert all(told.items() <= fact.items() for fact in facts)
    assert mended(world).found == ()


def test_a_host_that_tells_of_a_run_without_a_record_in_time_keeps_it(world: World) -> None:
    two_of_one_slot(world)
    run = HeldRun(workspace="a", token=token(world, "a"), agent="codex", org="o", repo="r")
    world.redis.delete(f"{ROOT}:workspace:a")
    assert mended(world).count == 0
    world.ask(Restore(host="h1", incarnation="i", runs=[run]))
    assert mended(world).found == ()
    assert claim(world, 2) == []


def test_nothing_is_mended_while_hosts_have_still_to_tell(world: World) -> None:
    two_of_one_slot(world)
    world.redis.sadd(f"{ROOT}:slots:codex", "ghost")
    world.load()  # the server restarts
    answer = world.ask(Mend(keys=["slots:codex"]))
    assert isinstance(answer, NotMended)
    assert (answer.refusal.reason, answer.refusal.until) == ("settling", START + 300_000)
    look = world.ask(Faults(keys=["slots:codex"]))
    assert ([one.workspace for one in look.found], look.settling) == (["ghost"], START + 300_000)
    beat(world)
    assert mended(world).count == 1


@pytest.mark.parametrize("beats", [1, 3])
def test_a_run_that_its_host_does_not_tell_of_any_more_is_named_and_left_to_its_lease(world: World, beats: int) -> None:
    two_of_one_slot(world)
    for at in range(beats):
        world.set_clock(START + 10_000 * (at + 1))
        beat(world, held=[])
    found = mended(world)
    assert found.count == 0
    told = [(one.klass, one.key, one.workspace, one.until) for one in found.found]
    assert told == ([] if beats == 1 else [("orphaned", "held:h1", "a", START + 300_000)])
    beat(world, held=[{"workspace": "a", "token": token(world, "a")}])
    assert mended(world).found == ()


def test_a_call_looks_at_a_part_and_goes_on_where_it_stopped(world: World) -> None:
    world.ask(Apply(settings=FleetSettings(beat=5000)))
    many = {f"ghost/{number}" for number in range(1000)}
    world.redis.sadd(f"{ROOT}:slots:codex", *many)
    keys, cursor, parts, gone = ["slots:claude", "slots:codex", "leases"], None, 0, set[str]()
    while True:
        answer = world.ask(Mend(keys=keys, cursor=cursor))
        assert isinstance(answer, Mended)
        assert len(answer.found) <= 300
        gone |= {one.workspace or "" for one in answer.found if one.mended}
        parts += 1
        cursor = answer.cursor
        assert answer.more is (cursor is not None)
        if cursor is None:
            break
    assert (gone, parts >= 4) == (many, True)
    assert not world.redis.exists(f"{ROOT}:slots:codex")
    assert world.ask(Faults(keys=["leases"] * MOST_KEYS, cursor="7:nonsense")).found == ()


def test_a_damaged_key_keeps_no_other_from_being_mended(world: World) -> None:
    two_of_one_slot(world)
    world.redis.sadd(f"{ROOT}:slots:codex", "ghost")
    world.redis.sadd(f"{ROOT}:held:h1", "hurt", "ghost")
    world.redis.set(f"{ROOT}:workspace:hurt", "by hand")
    world.redis.delete(f"{ROOT}:groups:codex")
    world.redis.set(f"{ROOT}:groups:codex", "by hand")
    answer = mended(world)
    assert [(one.key, one.workspace) for one in answer.found if one.mended] == [("held:h1", "ghost")]
    (left,) = [one for one in answer.found if one.workspace == "ghost" and not one.mended]
    assert left.text.endswith(f"; first mend {ROOT}:groups:codex")


def test_status_shows_what_a_replica_counted_until_there_is_nothing(world: World) -> None:
    world.ask(Reap(faults=3))
    world.ask(Reap())
    assert world.ask(GetStatus()).faults == 3
    world.ask(Reap(faults=0))
    assert world.ask(GetStatus()).faults == 0
    assert "faults" not in world.keys()["control"]


def test_what_a_deleted_run_held_of_a_push_host_is_handed_to_it_again(world: World) -> None:
    world.ask(Renew(host="p1", incarnation="i", pools=["claude"], slots=1, mode="push"))
    world.ask(Submit(workspace="a", agent="claude"))
    world.ask(Submit(workspace="b", agent="claude"))
    for key in ("workspace:a", "slots:*", "slots:claude", "leases", "status:running"):
        world.redis.delete(f"{ROOT}:{key}")
    mended(world)
    assert [fact["workspace"] for fact in world.facts() if fact["type"] == "SpawnQueued"] == ["a", "b"]
