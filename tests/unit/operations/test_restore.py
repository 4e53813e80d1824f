"""restore, backup and apply's `hosts`: what a server that came back empty, or without its last words, is told again."""

import json
from typing import Any

import pytest

from coordinator.models import Grant, Workspace
from coordinator.operations import (
    Apply,
    BackOff,
    Backup,
    Freeze,
    GetStatus,
    Host,
    Kill,
    Limit,
    Query,
    Reap,
    Renew,
    Restore,
    Thaw,
)
from coordinator.operations.apply import FleetSettings, Rates
from coordinator.operations.renew import Renewed
from coordinator.operations.restore import Restored, Unregistered
from tests.unit.operations.asking import Fleet

TTL = 300_000


def told(grant: Grant, **more: Any) -> dict[str, Any]:
    """What its host says of a run, from its grant alone."""
    return grant.model_dump(exclude={"ttl", "answer"}, exclude_none=True) | more


def ended(grant: Grant, status: str = "completed") -> dict[str, Any]:
    return told(grant, ending={"workspace": grant.workspace, "token": grant.token, "status": status})


async def restore(fleet: Fleet, *runs: dict[str, Any], host: str = "h1") -> Restored:
    asked = Restore.model_validate({"host": host, "incarnation": "i1", "machine": "m1", "runs": runs})
    answer = await fleet.store.run(asked)
    assert isinstance(answer, Restored), answer
    return answer


async def beat(fleet: Fleet, *held: Grant, host: str = "h1", epoch: int = 0) -> Renewed:
    runs = [{"workspace": one.workspace, "token": one.token} for one in held]
    asked = {"host": host, "incarnation": "i1", "machine": "m1", "pools": ["codex"], "slots": 9, "held": runs}
    answer = await fleet.store.run(Renew.model_validate(asked | {"epoch": epoch}))
    assert isinstance(answer, Renewed)
    return answer


async def known(fleet: Fleet) -> None:
    """h1 has told this server all that it held, which was nothing."""
    epoch = (await beat(fleet)).epoch or 0
    await beat(fleet, epoch=epoch)


async def running(fleet: Fleet, *names: str, **more: Any) -> list[Grant]:
    await fleet.host("h1", slots=9, machine="m1")
    await fleet.queue(*names, **more)
    return list((await fleet.claim()).grants)


async def emptied(fleet: Fleet, *, thawed: bool = True) -> None:
    """The server has lost all, its library too."""
    await fleet.redis.flushall()
    await fleet.redis.function_flush()
    if thawed:
        await fleet.store.run(Apply(thaw=True))


async def of_status(fleet: Fleet, status: Any) -> tuple[Workspace, ...]:
    return (await fleet.store.run(Query(status=status))).workspaces


async def facts(fleet: Fleet, kind: str) -> list[dict[str, Any]]:
    """What was told of this kind."""
    entries: Any = await fleet.redis.xrange("{t}:events")
    return [json.loads(entry["json"]) for _, entry in entries if entry["type"] == kind]


async def everything(fleet: Fleet) -> dict[str, Any]:
    """Every key but those that count or date what was done."""
    found: dict[str, Any] = {}
    async for key in fleet.redis.scan_iter("{t}:*"):
        name = key.removeprefix("{t}:")
        match await fleet.redis.type(key):
            case "hash":
                found[name] = await fleet.redis.hgetall(key)
            case "set":
                found[name] = await fleet.redis.smembers(key)
            case "zset":
                found[name] = await fleet.redis.zrange(key, 0, -1)
    return found


async def test_a_run_that_the_server_forgot_is_unknown_to_a_host_that_can_restore_it_and_lost_to_any_other(
    fleet: Fleet,
) -> None:
    (grant,) = await running(fleet, "a")
    await emptied(fleet)
    answer = await beat(fleet, grant)
    assert (answer.unknown, answer.lost) == (("a",), ())
    answer = await fleet.beat("h1", grant)
    assert (answer.unknown, answer.lost) == ((), ("a",))


async def test_a_run_is_known_again_as_it_was_granted(fleet: Fleet) -> None:
    await fleet.host("h1", slots=9, machine="m1", labels=["gpu"])
    more = {"repo": "go-io", "org": "core", "branch": "agent/a", "task": "fix\nit", "keys": ["team"], "labels": ["gpu"]}
    await fleet.queue("a", agent="codex:big", priority=8, host="h1", dir="core/a", source="/srv/go-io", **more)
    (grant,) = (await fleet.claim()).grants
    before, record = await everything(fleet), await fleet.record("a")
    await emptied(fleet)
    await fleet.host("h1", slots=9, machine="m1", labels=["gpu"], epoch=0)
    assert await restore(fleet, told(grant, started_at=record.started_at, pid=record.pid)) == Restored(count=1, ttl=TTL)
    after = await everything(fleet)
    changes = {"since", "queued_at", "not_before"}
    assert (await fleet.record("a")).model_dump(exclude=changes) == record.model_dump(exclude=changes)
    for name in before:
        if name.partition(":")[0] in {"slots", "held", "leases", "status"}:
            assert after[name] == before[name], name
    assert int(await fleet.redis.get("{t}:fence") or 0) >= grant.token
    (fact,) = await facts(fleet, "AgentStarted")
    assert (fact["token"], fact["restored"], fact["attempt"]) == (grant.token, True, 1)
    await fleet.end(grant)
    assert await fleet.redis.keys("{t}:slots:*") == []


async def test_a_second_telling_changes_nothing(fleet: Fleet) -> None:
    (grant,) = await running(fleet, "a")
    await emptied(fleet)
    await beat(fleet)
    assert (await restore(fleet, told(grant))).count == 1
    before = await everything(fleet)
    assert await restore(fleet, told(grant)) == Restored(count=0, ttl=TTL)
    assert await everything(fleet) == before


async def test_a_run_that_was_forgotten_holds_its_slots_also_beyond_a_limit_and_nothing_starts_there(
    fleet: Fleet,
) -> None:
    first, second = await running(fleet, "a", "b")
    await emptied(fleet)
    await fleet.limit("codex", 1)
    await known(fleet)
    await restore(fleet, told(first), told(second))
    await fleet.queue("c")
    refusal = await fleet.why("c")
    assert refusal
    assert (refusal.reason, refusal.used, refusal.limit) == ("full", 2, 1)


async def test_the_grant_is_newer_than_what_the_server_remembers(fleet: Fleet) -> None:
    """The last second is lost: the workspace waits in it, or runs for another host that has ended it since."""
    await fleet.host("h2", slots=1, machine="m2")
    await fleet.queue("a", "b")
    (old,) = (await fleet.claim("h2")).grants
    await beat(fleet)
    new = old.model_copy(update={"token": old.token + 5})
    waits = Grant(workspace="b", token=old.token + 6, ttl=1, agent="codex", lane=old.lane)
    assert await restore(fleet, told(new), told(waits)) == Restored(count=2, ttl=TTL)
    assert {one.workspace: (one.host, one.token) for one in await of_status(fleet, "running")} == {
        "a": ("h1", new.token),
        "b": ("h1", waits.token),
    }
    assert await fleet.redis.exists("{t}:held:h2", "{t}:lanes:codex", "{t}:ready:codex") == 0
    assert (await fleet.end(old)).outcome == "stale"
    assert (await fleet.claim("h2")).grants == ()


async def test_an_older_grant_than_that_of_the_server_is_lost(fleet: Fleet) -> None:
    (old,) = await running(fleet, "a")
    await fleet.store.run(Host(host="h1", action="forget", dead=True))
    await fleet.host("h2", machine="m2")
    (new,) = (await fleet.claim("h2")).grants
    await beat(fleet)
    assert await restore(fleet, told(old)) == Restored(count=0, lost=("a",), ttl=TTL)
    assert await restore(fleet, ended(old)) == Restored(count=0, ttl=TTL)
    (run,) = await of_status(fleet, "running")
    assert (run.host, run.token) == ("h2", new.token)
    await fleet.end(new)
    await fleet.host("h2", machine="m2", epoch=0)
    assert await restore(fleet, told(new), host="h2") == Restored(count=0, lost=("a",), ttl=TTL)


@pytest.mark.parametrize("forgotten", [False, True])
async def test_an_ending_is_counted_once(fleet: Fleet, forgotten: bool) -> None:
    (grant,) = await running(fleet, "a")
    if forgotten:
        await emptied(fleet)
        await beat(fleet)
    for _ in range(2):
        assert await restore(fleet, ended(grant)) == Restored(count=int(forgotten and not _), ttl=TTL)
    (run,) = await of_status(fleet, "completed")
    assert (run.token, run.runs) == (grant.token, 1)
    assert (await fleet.facts()).count("AgentCompleted") == 1
    assert await fleet.redis.keys("{t}:slots:*") + await fleet.redis.keys("{t}:held:*") == []


async def test_who_is_not_registered_must_renew_first(fleet: Fleet) -> None:
    (grant,) = await running(fleet, "a")
    asked = {"host": "h1", "incarnation": "other", "runs": [told(grant)]}
    assert await fleet.store.run(Restore.model_validate(asked)) == Unregistered()
    assert (await fleet.record("a")).status == "running"


@pytest.mark.parametrize("lane", ["claude claude", "codex codex a,b", "codex", "codex codex #99", "+ codex"])
async def test_a_lane_that_can_not_be_is_that_of_the_agent_and_repo(fleet: Fleet, lane: str) -> None:
    await beat(fleet)
    run = {"workspace": "a", "token": 5, "agent": "codex:big", "repo": "go-io", "org": "core", "lane": lane}
    await restore(fleet, run)
    names = ("codex", "codex:big", "repo:core/go-io", "org:core", "*")
    assert {name for name in await everything(fleet) if name.startswith("slots:")} == {f"slots:{key}" for key in names}


async def test_nothing_is_granted_before_every_host_that_is_expected_has_told(fleet: Fleet) -> None:
    first, second = await running(fleet, "a", "b")
    await emptied(fleet, thawed=False)
    await fleet.store.run(Apply(limits={"codex": 3}, if_new=True, hosts=["h1", "h2", "gone"]))
    await fleet.store.run(Thaw())
    await fleet.queue("c")
    epoch = (await beat(fleet, first, second)).epoch
    await beat(fleet, host="h2", epoch=epoch or 0)

    async def why() -> str | None:
        refusal = (await fleet.claim()).refusal
        return refusal.reason if refusal else None

    assert await why() == "settling"
    await restore(fleet, told(first), told(second))
    assert await why() == "settling"
    await beat(fleet, first, second, epoch=epoch or 0)
    assert await why() == "settling"
    assert (await fleet.store.run(Host(host="gone", action="forget"))).outcome == "set"
    assert await fleet.granted() == ["c"]
    assert await fleet.redis.hget("{t}:control", "expected") is None


async def test_a_host_that_never_comes_is_waited_for_as_long_as_its_leases_last(fleet: Fleet) -> None:
    await fleet.store.run(Apply(limits={}, if_new=True, hosts=["gone"], settings=FleetSettings(lease_ttl=60_000)))
    await fleet.queue("a")
    await fleet.host()
    settling = (await fleet.store.run(GetStatus())).settling or 0
    assert 0 < settling - (await fleet.store.run(GetStatus())).now <= 60_000
    await fleet.redis.hset("{t}:control", mapping={"settling": 1, "due": 1})
    await fleet.redis.zadd("{t}:timers", {"*": 1})
    await fleet.store.run(Reap())
    assert await fleet.granted() == ["a"]
    assert await fleet.redis.hmget("{t}:control", "expected", "settling") == [None, None]


async def test_nothing_is_reaped_before_all_have_told(fleet: Fleet) -> None:
    (grant,) = await running(fleet, "a")
    await emptied(fleet, thawed=False)
    await fleet.store.run(Apply(limits={}, if_new=True, hosts=["h1"]))
    await fleet.store.run(Thaw())
    await beat(fleet)
    await restore(fleet, told(grant))
    await fleet.lapse("a")
    assert (await fleet.store.run(Reap())).lost == ()


async def test_backup_says_what_operators_have_set_as_it_can_be_written_back(fleet: Fleet) -> None:
    await fleet.store.run(
        Apply(
            limits={"codex": 3, "repo:*": 1},
            rates={"codex": Rates(min_delay=5)},
            accounts={"codex": ["work", "home"]},
            weights={"team": 2},
            settings=FleetSettings(beat=5000),
            default_agent="codex",
        )
    )
    await fleet.store.run(BackOff(key="claude", until=9_000_000_000_000, reason="usage limit", by="ana"))
    await fleet.store.run(BackOff(key="gemini", until=9_000_000_000_000))
    await fleet.store.run(Freeze(key="repo:core/web", by="ana", reason="release"))
    await fleet.host("h1")
    kept = (await fleet.store.run(Backup())).model_dump(exclude_none=True)
    now = (await fleet.store.run(GetStatus())).now
    assert 0 <= now - kept["now"] < 10_000
    now = kept["now"]
    assert str(kept.pop("epoch")) == await fleet.redis.hget("{t}:control", "epoch")
    assert kept.pop("freezes")["repo:core/web"].items() >= {"by": "ana", "reason": "release"}.items()
    assert kept == {
        "outcome": "backup",
        "new": False,
        "limits": {"codex": 3, "repo:*": 1},
        "rates": {"codex": {"min_delay": 5}},
        "accounts": {"codex": ("home", "work")},
        "weights": {"team": 2},
        "settings": {"beat": 5000},
        "default_agent": "codex",
        "gates": {
            "claude": {"until": 9_000_000_000_000, "reason": "usage limit by ana"},
            "gemini": {"until": 9_000_000_000_000},
        },
        "frozen": False,
        "hosts": ("h1",),
        "now": now,
    }
    await fleet.redis.flushall()
    empty = await fleet.store.run(Backup())
    assert (empty.new, empty.frozen, empty.limits, empty.hosts) == (True, True, {}, ())


async def test_the_grant_of_one_that_somebody_killed_meanwhile_is_ended(fleet: Fleet) -> None:
    (grant,) = await running(fleet, "a")
    await emptied(fleet)
    await beat(fleet)
    await restore(fleet, told(grant))
    await fleet.store.run(Kill(workspace="a"))
    assert (await beat(fleet, grant)).kill == ("a",)


async def test_the_wire_form(fleet: Fleet) -> None:
    await beat(fleet)
    text = '{"host":"h1","incarnation":"i1","runs":[{"workspace":"a","token":7,"agent":"codex"}]}'
    answer = json.loads(await fleet.redis.fcall("dispatch_restore", 1, "{t}", text))
    assert (answer["outcome"], answer["count"]) == ("restored", 1)
    assert [one.workspace for one in (await fleet.store.run(Query(status="running"))).workspaces] == ["a"]
    await fleet.store.run(Limit(key="codex", limit=1))
