"""Freeze of `host:<name>`: that host is given nothing, by whatever way, until it is thawed or the time comes."""

from typing import Any

import pytest

from coordinator.models import FreezeView
from coordinator.operations import Complete, Confirm, Freeze, GetStatus, Host, Hosts, Limit, Reap, Thaw
from coordinator.operations.submit import Queued, Refused
from tests.unit.operations.asking import Fleet

LATER = 4_102_444_800_000
KEY = "host:h1"


async def freeze(fleet: Fleet, **more: Any) -> None:
    await fleet.store.run(Freeze(key=KEY, by="ana", reason="new disk", **more))


async def ends(fleet: Fleet) -> None:
    """The time until which it is frozen has come."""
    await fleet.redis.hset(fleet.store.key("frozen"), KEY, '{"by":"ana","until":1}')
    await fleet.redis.zadd(fleet.store.key("timers"), {KEY: 1}, xx=True)


async def test_it_is_given_nothing_and_told_why(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.host("h2")
    await freeze(fleet, until=LATER)
    await fleet.queue("w")
    answer = await fleet.claim()
    assert answer.grants == ()
    no = answer.refusal
    assert no
    assert (no.key, no.reason, no.text, no.until) == (KEY, "frozen", f"{KEY} is frozen by ana: new disk", LATER)
    assert await fleet.granted("h2") == ["w"]


async def test_what_it_runs_goes_on(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.queue("w")
    (grant,) = (await fleet.claim()).grants
    await freeze(fleet)
    assert (await fleet.beat("h1", grant)).lost == ()
    ended = await fleet.store.run(
        Complete(workspace="w", token=grant.token, status="completed", claim=fleet.asking("h1"))
    )
    assert (ended.outcome, ended.grants, ended.refusal and ended.refusal.key) == ("completed", (), KEY)


async def test_a_frozen_host_waits_for_nothing_and_work_wakes_another(fleet: Fleet) -> None:
    for name in ("h1", "h2"):
        await fleet.host(name)
        assert await fleet.granted(name) == []
    await freeze(fleet)
    async with fleet.listening("h1", "h2") as pokes:
        await fleet.queue("w")
        assert await pokes.next() == "h2"


async def test_a_poke_of_a_host_that_is_frozen_goes_to_the_next(fleet: Fleet) -> None:
    for name in ("h1", "h2"):
        await fleet.host(name)
        assert await fleet.granted(name) == []
    async with fleet.listening("h1", "h2") as pokes:
        await fleet.queue("w")
        assert await pokes.next() == "h1"
        await freeze(fleet)
        assert await fleet.granted("h1") == []
        assert await pokes.next() == "h2"


@pytest.mark.parametrize("how", ["thaw", "time"])
async def test_its_end_tells_it_to_look(fleet: Fleet, how: str) -> None:
    await fleet.host()
    await freeze(fleet, until=LATER)
    await fleet.queue("w")
    assert await fleet.granted() == []
    async with fleet.listening("h1") as pokes:
        if how == "thaw":
            await fleet.store.run(Thaw(key=KEY))
        else:
            await ends(fleet)
            await fleet.store.run(Reap())
        assert await pokes.next() == "h1"
    assert await fleet.granted() == ["w"]
    assert await fleet.redis.exists(fleet.store.key("frozen")) == 0
    assert await fleet.redis.zscore(fleet.store.key("timers"), KEY) is None


@pytest.mark.parametrize("how", ["thaw", "time"])
async def test_a_push_host_is_handed_nothing_until_its_end(fleet: Fleet, how: str) -> None:
    await fleet.host(mode="push")
    await freeze(fleet, until=LATER)
    await fleet.queue("w")
    await fleet.beat("h1")
    assert (await fleet.record("w")).status == "queued"
    if how == "thaw":
        await fleet.store.run(Thaw(key=KEY))
    else:
        await ends(fleet)
        await fleet.store.run(Reap())
    record = await fleet.record("w")
    assert (record.status, record.host) == ("running", "h1")


async def test_what_was_handed_to_it_before_may_still_be_confirmed(fleet: Fleet) -> None:
    await fleet.host(mode="push")
    await fleet.queue("w")
    token = (await fleet.record("w")).token
    await freeze(fleet)
    assert (await fleet.store.run(Confirm(workspace="w", token=token or 0))).outcome == "confirmed"


async def test_it_is_granted_nothing_that_it_asks_for_itself(fleet: Fleet) -> None:
    await freeze(fleet)
    refused = await fleet.submit("w", asker="h1", otherwise="refuse")
    assert isinstance(refused, Refused)
    assert refused.refusal.key == KEY
    assert isinstance(await fleet.submit("w", asker="h1"), Queued)
    assert (await fleet.submit("v", asker="h2")).outcome == "granted"


async def test_what_waits_for_it_alone_says_so(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.host("h2")
    await freeze(fleet, until=LATER)
    await fleet.store.run(Host(host="h2", action="quiet"))
    queued = await fleet.submit("w")
    assert isinstance(queued, Queued)
    for no in (queued.refusal, await fleet.why("w")):
        assert no
        assert (no.key, no.reason, no.until) == (KEY, "frozen", LATER)
    await fleet.store.run(Host(host="h2", action="thaw"))
    assert await fleet.why("w") is None


async def test_hosts_and_status_show_it(fleet: Fleet) -> None:
    await fleet.host()
    await freeze(fleet, until=LATER)
    (host,) = (await fleet.store.run(Hosts())).hosts
    assert host.freeze
    assert host.freeze == FreezeView(by="ana", reason="new disk", until=LATER, at=host.freeze.at)
    (view,) = [view for view in (await fleet.store.run(GetStatus())).keys if view.key == KEY]
    assert (view.reason, view.text, view.until) == ("frozen", f"{KEY} is frozen by ana: new disk", LATER)


async def test_its_quiet_and_its_freeze_end_apart(fleet: Fleet) -> None:
    await fleet.host()
    await freeze(fleet)
    await fleet.store.run(Host(host="h1", action="quiet"))
    await fleet.queue("w")
    await fleet.store.run(Thaw(key=KEY))
    assert await fleet.granted() == []
    await freeze(fleet)
    await fleet.store.run(Host(host="h1", action="thaw"))
    assert await fleet.granted() == []
    await fleet.store.run(Thaw(key=KEY))
    assert await fleet.granted() == ["w"]


async def test_a_freeze_outlives_the_record_of_its_host(fleet: Fleet) -> None:
    await fleet.host()
    await freeze(fleet)
    await fleet.store.run(Host(host="h1", action="forget"))
    await fleet.host()
    await fleet.queue("w")
    assert await fleet.granted() == []


@pytest.mark.parametrize("text", ["{}", "oops", '{"by":[1],"reason":{"a":1},"until":"soon"}', '{"until":1}'])
async def test_a_freeze_that_was_edited_by_hand_stops_no_verb(fleet: Fleet, text: str) -> None:
    await fleet.host()
    await fleet.redis.hset(fleet.store.key("frozen"), KEY, text)
    await fleet.queue("w")
    assert await fleet.granted() == (["w"] if text == '{"until":1}' else [])
    assert (await fleet.store.run(Hosts())).hosts


@pytest.mark.parametrize("key", ["codex", "repo:core/web", "org:core"])
async def test_any_key_is_frozen_by_somebody_for_a_reason_until_a_time(fleet: Fleet, key: str) -> None:
    await fleet.host()
    await fleet.store.run(Freeze(key=key, by="ana", reason="release", until=LATER))
    await fleet.queue("w", org="core", repo="web", keys=["org:core"])
    assert await fleet.granted() == []
    no = await fleet.why("w")
    assert no
    assert (no.key, no.reason, no.text, no.until) == (key, "frozen", f"{key} is frozen by ana: release", LATER)
    (view,) = [view for view in (await fleet.store.run(GetStatus())).keys if view.key == key]
    assert (view.text, view.until, view.waiting) == (f"{key} is frozen by ana: release", LATER, True)
    await fleet.redis.hset(fleet.store.key("frozen"), key, '{"until":1}')
    await fleet.redis.zadd(fleet.store.key("timers"), {key: 1}, xx=True)
    async with fleet.listening("h1") as pokes:
        assert (await fleet.store.run(Reap())).opened == (key,)
        assert await pokes.next() == "h1"
    assert await fleet.granted() == ["w"]


async def test_a_limit_of_such_a_key_says_nothing_of_the_host(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.store.run(Limit(key=KEY, limit=0))
    await fleet.queue("w")
    assert await fleet.granted() == ["w"]
