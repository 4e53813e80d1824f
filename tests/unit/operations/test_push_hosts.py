"""Push hosts: work is handed to them without being asked, to those that live and have room, until they confirm it."""

import json
from typing import Any

import pytest

from coordinator.models import Grant
from coordinator.operations import Apply, Complete, Confirm, Host, Kill, Reap, Submit, Thaw
from coordinator.operations.apply import FleetSettings
from coordinator.operations.confirm import Confirmed
from tests.unit.operations.asking import Fleet


async def told(fleet: Fleet) -> list[dict[str, Any]]:
    """Every SpawnQueued, the oldest first."""
    return [json.loads(entry.json) for entry in await fleet.store.last_events(100) if entry.type == "SpawnQueued"]


async def spawned(fleet: Fleet) -> list[tuple[str, str]]:
    """(host, workspace) of every SpawnQueued."""
    return [(fact["host"], fact["workspace"]) for fact in await told(fleet)]


async def confirm(fleet: Fleet, workspace: str, token: int) -> str:
    return (await fleet.store.run(Confirm(workspace=workspace, token=token))).outcome


async def go_silent(fleet: Fleet, host: str) -> None:
    await fleet.redis.hset(f"{{t}}:host:{host}", "beat", 1)


@pytest.mark.reference(79, "W10", "T93")
async def test_work_is_handed_to_a_push_host_in_the_call_that_brings_it(fleet: Fleet) -> None:
    await fleet.host("p1", mode="push", slots=1)
    await fleet.queue("a", task="x", repo="io", org="core")
    (fact,) = await told(fleet)
    token = (await fleet.record("a")).token
    assert fact == {
        "type": "SpawnQueued", "host": "p1", "workspace": "a", "agent": "codex", "task": "x", "repo": "io",
        "org": "core", "token": token, "ttl": 60_000,
    }  # fmt: skip
    assert await fleet.facts() == ["Thawed", "AgentStarted", "SpawnQueued"]
    assert await fleet.redis.exists("{t}:poked") == 0


@pytest.mark.reference("W9")
async def test_work_that_was_there_first_is_handed_to_a_host_that_registers_and_its_answer_says_so(
    fleet: Fleet,
) -> None:
    await fleet.queue("a", "b", "c")
    answer = await fleet.host("p1", mode="push", slots=2)
    assert sorted((grant.workspace, grant.ttl) for grant in answer.unseen) == [("a", 60_000), ("b", 60_000)]
    assert await spawned(fleet) == [("p1", "a"), ("p1", "b")]


async def test_a_push_host_is_never_poked(fleet: Fleet) -> None:
    async with fleet.listening("p1") as pokes:
        await fleet.host("p1", mode="push")
        await fleet.queue("a")
        assert await spawned(fleet) == [("p1", "a")]
        assert await pokes.heard() == []


@pytest.mark.parametrize("how", ["completed", "reported", "lapsed", "forgotten", "killed"])
async def test_the_end_of_a_run_hands_its_host_the_next(fleet: Fleet, how: str) -> None:
    await fleet.host("p1", mode="push", slots=1)
    await fleet.queue("a", priority=0 if how == "lapsed" else 9)
    await fleet.queue("b")
    token = (await fleet.record("a")).token
    assert await spawned(fleet) == [("p1", "a")]
    match how:
        case "completed":
            await fleet.store.run(Complete(workspace="a", token=token, status="completed"))
        case "reported":
            await fleet.store.run(Complete(workspace="a", status="completed"))
        case "killed":
            await fleet.store.run(Kill(workspace="a"))
            await fleet.store.run(Complete(workspace="a", status="failed"))
        case "lapsed":
            await fleet.lapse("a")
            await fleet.store.run(Reap())
        case "forgotten":
            await fleet.store.run(Host(host="p1", action="forget", dead=True))
            await fleet.store.run(Complete(workspace="a", token=token, status="completed"))
            await fleet.host("p2", mode="push", slots=2)
    expected = {"forgotten": [("p2", "a"), ("p2", "b")]}.get(how, [("p1", "b")])
    assert (await spawned(fleet))[1:] == expected


async def test_the_end_of_an_askers_run_frees_a_slot_of_the_push_host_of_that_name(fleet: Fleet) -> None:
    await fleet.host("p1", mode="push", slots=1)
    asked = await fleet.ask_for("a", asker="p1")
    await fleet.queue("b")
    assert await spawned(fleet) == []
    await fleet.end(asked)
    assert await spawned(fleet) == [("p1", "b")]


async def test_a_silent_push_host_is_passed_over_until_it_beats(fleet: Fleet) -> None:
    await fleet.host("p1", mode="push")
    await go_silent(fleet, "p1")
    await fleet.queue("a")
    assert await spawned(fleet) == []
    why = await fleet.why("a")
    assert why
    assert why.text == "every host that serves codex is quiet or silent"
    await fleet.host("p2", mode="push", slots=1)
    assert await spawned(fleet) == [("p2", "a")]
    await fleet.queue("b")
    await fleet.beat("p1")
    assert await spawned(fleet) == [("p2", "a"), ("p1", "b")]


async def test_a_quiet_push_host_gets_nothing_and_a_thawed_one_what_waits(fleet: Fleet) -> None:
    await fleet.host("p1", mode="push")
    await fleet.store.run(Host(host="p1", action="quiet"))
    await fleet.queue("a")
    await fleet.beat("p1")
    assert await spawned(fleet) == []
    await fleet.store.run(Host(host="p1", action="thaw"))
    assert await spawned(fleet) == [("p1", "a")]


async def test_a_thaw_serves_one_push_host_and_tells_the_replicas_of_the_others(fleet: Fleet) -> None:
    names = [f"p{number}" for number in range(10)]
    for name in names:
        await fleet.host(name, mode="push", pools=name, slots=1)
    await fleet.store.run(Kill(all=True))  # freezes
    for name in names:
        await fleet.queue(f"w-{name}", agent=name)
    async with fleet.redis.pubsub() as bus:
        await bus.subscribe("{t}:bus")
        await fleet.store.run(Thaw())
        assert len(await spawned(fleet)) == 1
        while not (message := await bus.get_message(timeout=5)) or '"PokeQueue","due"' not in str(message["data"]):
            pass
    answer = await fleet.store.run(Reap())
    assert (len(await spawned(fleet)), answer.more, answer.next_due) == (9, True, 0)
    answer = await fleet.store.run(Reap())
    assert (len(await spawned(fleet)), answer.more) == (10, False)


async def test_without_a_replica_the_beat_of_a_push_host_hands_it_what_waits(fleet: Fleet) -> None:
    names = ["p1", "p2", "p3"]
    await fleet.store.run(Kill(all=True))  # freezes
    for name in names:
        await fleet.host(name, mode="push", slots=1)
    await fleet.queue("a", "b", "c")
    await fleet.store.run(Thaw())  # serves one, and leaves the others to a replica
    for name in (*names, *names):
        await fleet.beat(name)
    assert sorted(host for host, _ in await spawned(fleet)) == names


async def test_a_push_host_that_claims_itself_gets_no_more_than_its_slots(fleet: Fleet) -> None:
    await fleet.store.run(Kill(all=True))  # freezes
    await fleet.host("p1", mode="push", slots=2)
    await fleet.queue("a", "b", "c")
    await fleet.store.run(Thaw())
    assert await spawned(fleet) == [("p1", "a"), ("p1", "b")]
    assert await fleet.granted("p1") == []
    await fleet.store.run(Complete(workspace="a", status="completed"))
    assert await fleet.redis.scard("{t}:held:p1") == 2
    await fleet.host("p1", mode="push", slots=3)
    await fleet.limit("codex", 2)
    await fleet.queue("d")
    first = fleet.asking("p1", 1)
    await fleet.limit("codex", 9)  # it is handed `d` now
    assert (await fleet.store.run(Complete(workspace="x", status="completed", claim=first))).grants == ()
    assert await fleet.redis.scard("{t}:held:p1") == 3


async def test_a_host_that_changes_its_mode_is_handed_work_or_asks_for_it(fleet: Fleet) -> None:
    await fleet.host("h1", slots=1)
    await fleet.queue("a")
    assert await spawned(fleet) == []
    await fleet.host("h1", slots=1, mode="push")
    assert await spawned(fleet) == [("h1", "a")]
    await fleet.host("h1", slots=2, mode="pull")
    await fleet.queue("b")
    assert await spawned(fleet) == [("h1", "a")]
    assert await fleet.granted("h1") == ["b"]


async def test_a_confirmed_grant_lasts_and_one_that_is_over_is_refused(fleet: Fleet) -> None:
    await fleet.host("p1", mode="push", slots=1)
    await fleet.queue("a")
    token = (await fleet.record("a")).token or 0
    for _ in range(2):
        answer = await fleet.store.run(Confirm(workspace="a", token=token, pid=7))
        assert answer == Confirmed(ttl=300_000)
    seconds, _ = await fleet.redis.time()
    assert (await fleet.redis.zscore("{t}:leases", "a") or 0) > seconds * 1000 + 200_000
    assert (await fleet.record("a")).pid == 7
    assert await confirm(fleet, "a", token - 1) == "stale"
    assert await confirm(fleet, "b", token) == "unknown"
    await fleet.store.run(Kill(workspace="a"))
    assert await fleet.store.run(Confirm(workspace="a", token=token)) == Confirmed(ttl=300_000, kill=True)
    await fleet.store.run(Complete(workspace="a", token=token, status="failed"))
    assert await confirm(fleet, "a", token) == "stale"


async def test_a_refused_confirmation_is_a_fact_but_one_heard_after_the_end_is_not(fleet: Fleet) -> None:
    await fleet.host("p1", mode="push", slots=1)
    await fleet.queue("a")
    token = (await fleet.record("a")).token or 0
    await fleet.lapse("a")
    await fleet.store.run(Host(host="p1", action="quiet"))
    await fleet.store.run(Reap())
    assert await confirm(fleet, "a", token) == "stale"
    refused = json.loads((await fleet.store.last_events(1))[0].json)
    assert refused == {"type": "ReportRefused", "workspace": "a", "reason": "the grant is over"}
    await fleet.store.run(Host(host="p1", action="thaw"))
    token = (await fleet.record("a")).token or 0
    assert await confirm(fleet, "a", token) == "confirmed"
    await fleet.store.run(Complete(workspace="a", token=token, status="completed"))
    facts = await fleet.facts()
    assert await confirm(fleet, "a", token) == "stale"
    assert await fleet.facts() == facts


@pytest.mark.parametrize("holder", ["worker", "asker"])
async def test_only_a_run_of_a_push_host_is_confirmed(fleet: Fleet, holder: str) -> None:
    if holder == "worker":
        await fleet.host("h1")
        await fleet.queue("a")
        (grant,) = (await fleet.claim("h1")).grants
    else:
        grant = await fleet.ask_for("a")
    before = await fleet.redis.hgetall("{t}:workspace:a"), await fleet.redis.zscore("{t}:leases", "a")
    assert await confirm(fleet, "a", grant.token) == "stale"
    assert before == (await fleet.redis.hgetall("{t}:workspace:a"), await fleet.redis.zscore("{t}:leases", "a"))
    assert (await fleet.facts())[-1] == "ReportRefused"


async def test_a_beat_with_the_token_confirms_too(fleet: Fleet) -> None:
    await fleet.host("p1", mode="push")
    await fleet.queue("a")
    (grant,) = (await fleet.beat("p1")).unseen
    assert isinstance(grant, Grant)
    assert (await fleet.beat("p1", grant)).lost == ()
    assert await fleet.redis.hget("{t}:workspace:a", "confirmed") == "1"


@pytest.mark.reference("W31", "T95")
async def test_a_grant_that_is_never_confirmed_goes_to_another_host_and_fails_in_the_end(fleet: Fleet) -> None:
    await fleet.store.run(Apply(settings=FleetSettings(max_attempts=3)))
    await fleet.host("p2", mode="push", slots=1)
    await fleet.queue("a")
    await fleet.host("p1", mode="push", slots=1)
    for _ in range(3):
        await fleet.lapse("a")
        await fleet.store.run(Reap())
    hosts = [host for host, _ in await spawned(fleet)]
    assert hosts[:2] == ["p2", "p1"]  # who waited longer goes first
    record = await fleet.record("a")
    assert record.status == "failed"
    assert record.question == f"lost 3 times: {hosts[2]} never confirmed that it starts it"


async def test_a_damaged_lane_keeps_nothing_else_from_a_push_host_and_is_named_by_reap(fleet: Fleet) -> None:
    await fleet.store.run(Kill(all=True))  # freezes
    await fleet.host("p1", mode="push", slots=2)
    await fleet.host("p2", mode="push", slots=2)
    await fleet.queue("a", priority=9)
    await fleet.queue("b")
    await fleet.redis.delete("{t}:workspace:a")
    await fleet.redis.set("{t}:workspace:a", "by hand")
    assert (await fleet.store.run(Thaw())).outcome == "thawed"
    for _ in range(3):
        text = await fleet.redis.fcall("dispatch_reap", 1, "{t}", "{}")
        if "damaged" in str(text):
            break
    assert json.loads(str(text))["key"] == "{t}:workspace:a"
    assert await fleet.redis.exists("{t}:poked") == 0  # nobody is offered it for ever
    await fleet.redis.delete("{t}:workspace:a")
    await fleet.store.run(Submit(workspace="c", agent="codex", asker="p1"))
    await fleet.beat("p2")
    assert ("p2", "b") in await spawned(fleet)
