"""retry with an answer: its run is told, in front, where the workspace lies; another agent; the way out of the pin."""

import pytest

from coordinator.errors import InvalidQuestion
from coordinator.models import Grant
from coordinator.operations import Cancel, Freeze, Host, Kill, Reap, Retry, Thaw
from coordinator.operations._many import Done
from tests.unit.operations.asking import Fleet


async def blocked_on(fleet: Fleet, on: str, name: str = "a", **more: object) -> Grant:
    """It ran on this host and asks something; the host waits for more."""
    await fleet.host(on)
    await fleet.queue(name, **more)
    (grant,) = (await fleet.claim(on)).grants
    await fleet.end(grant, "blocked", question="which port?", session="7c1e")
    return grant


async def claimed(fleet: Fleet, host: str = "h1", count: int | None = None) -> dict[str, Grant]:
    return {grant.workspace: grant for grant in (await fleet.claim(host, count)).grants}


async def test_the_answer_travels_with_the_grant_and_ends_with_its_run(fleet: Fleet) -> None:
    await blocked_on(fleet, "h1")
    assert await fleet.store.run(Retry(workspace="a", answer="port 8080", by="ana")) == Done(count=1)
    assert await fleet.store.run(Retry(workspace="a", answer="port 8080")) == Done(count=0)
    record = await fleet.record("a")
    assert (record.status, record.answer, record.question, record.requires) == ("queued", "port 8080", None, "h1")
    grant = (await claimed(fleet))["a"]
    assert (grant.answer, grant.session) == ("port 8080", "7c1e")
    await fleet.end(grant)
    assert (await fleet.record("a")).answer is None


async def test_a_lost_run_leaves_the_answer_and_the_place_to_the_next(fleet: Fleet) -> None:
    await blocked_on(fleet, "h1")
    await fleet.store.run(Retry(workspace="a", answer="port 8080"))
    await fleet.queue("b")
    assert list(await claimed(fleet, count=1)) == ["a"]
    await fleet.lapse("a")
    await fleet.store.run(Reap())
    again = await claimed(fleet, count=1)
    assert (list(again), again["a"].answer, again["a"].attempt) == (["a"], "port 8080", 2)


async def test_an_answer_that_no_run_has_received_is_kept(fleet: Fleet) -> None:
    await blocked_on(fleet, "h1")
    await fleet.store.run(Retry(workspace="a", answer="port 8080"))
    await fleet.store.run(Cancel(workspace="a"))
    await fleet.store.run(Retry(workspace="a"))
    assert (await claimed(fleet))["a"].answer == "port 8080"


async def test_the_answered_go_before_all_others_of_their_priority_and_among_them_in_order(fleet: Fleet) -> None:
    for name in ("a", "b", "urgent"):
        await blocked_on(fleet, "h1", name, priority=9 if name == "urgent" else None)
    await fleet.queue("first", "second")
    await fleet.queue("third", priority=6)
    for name in ("b", "a"):
        await fleet.store.run(Retry(workspace=name, answer="yes"))
    await fleet.store.run(Retry(workspace="urgent"))
    assert await fleet.granted(count=4) == ["urgent", "third", "b", "a"]


async def test_front_alone_is_a_place_and_nothing_more(fleet: Fleet) -> None:
    await blocked_on(fleet, "h1")
    await fleet.queue("b")
    await fleet.store.run(Retry(workspace="a", front=True))
    record = await fleet.record("a")
    assert (record.requires, record.answer) == (None, None)
    assert await fleet.granted(count=1) == ["a"]


async def test_only_the_host_that_holds_it_may_go_on_with_an_answered_one(fleet: Fleet) -> None:
    await blocked_on(fleet, "h1")
    await fleet.host("h2")
    await fleet.store.run(Retry(workspace="a", answer="yes"))
    assert await fleet.granted("h2") == []
    assert await fleet.granted("h1") == ["a"]


async def test_a_plain_retry_is_the_way_out_when_that_host_is_gone(fleet: Fleet) -> None:
    await blocked_on(fleet, "h1")
    await fleet.host("h2")
    await fleet.store.run(Retry(workspace="a", answer="yes"))
    await fleet.store.run(Host(host="h1", action="forget"))
    refusal = await fleet.why("a")
    assert refusal
    assert (refusal.reason, refusal.text) == ("no_host", "host h1 is not there to serve 'codex'")
    await fleet.store.run(Cancel(workspace="a"))
    await fleet.store.run(Retry(status="failed"))
    assert (await fleet.record("a")).requires is None
    assert (await claimed(fleet, "h2"))["a"].answer == "yes"


async def test_the_host_that_was_asked_for_stays_asked_for(fleet: Fleet) -> None:
    await blocked_on(fleet, "h1", host="h1")
    await fleet.store.run(Retry(workspace="a", answer="yes"))
    await fleet.store.run(Kill(workspace="a"))
    await fleet.store.run(Retry(workspace="a"))
    assert (await fleet.record("a")).requires == "h1"


async def test_what_never_ran_or_ran_with_an_asker_is_pinned_nowhere(fleet: Fleet) -> None:
    await fleet.queue("new")
    await fleet.store.run(Cancel(workspace="new"))
    await fleet.end(await fleet.ask_for("asked"), "blocked", question="?")
    for name in ("new", "asked"):
        await fleet.store.run(Retry(workspace=name, answer="yes"))
        assert (await fleet.record(name)).requires is None
    await fleet.host("h1")
    assert sorted(await fleet.granted()) == ["asked", "new"]


async def test_where_it_ran_is_known_also_when_it_was_queued_and_cancelled_meanwhile(fleet: Fleet) -> None:
    await blocked_on(fleet, "h1")
    await fleet.store.run(Retry(workspace="a"))
    await fleet.store.run(Cancel(workspace="a"))
    await fleet.store.run(Retry(workspace="a", answer="yes"))
    assert (await fleet.record("a")).requires == "h1"


async def test_another_agent_takes_over_under_its_own_limits_and_without_the_session(fleet: Fleet) -> None:
    await fleet.limit("codex", 1)
    await blocked_on(fleet, "h1", repo="io", org="core", keys=["team"])
    await fleet.ask_for("busy")
    await fleet.host("h1", pools="codex claude")
    await fleet.store.run(Retry(workspace="a", agent="claude:opus", answer="yes"))
    assert await fleet.why("a") is None
    grant = (await claimed(fleet))["a"]
    assert (grant.agent, grant.session, grant.answer) == ("claude:opus", None, "yes")
    for key in ("claude", "claude:opus", "repo:core/io", "team"):
        assert await fleet.redis.smembers(f"{{t}}:slots:{key}") == {"a"}, key
    assert await fleet.redis.smembers("{t}:slots:codex") == {"busy"}


async def test_another_model_of_the_same_program_keeps_the_session(fleet: Fleet) -> None:
    await blocked_on(fleet, "h1")
    await fleet.store.run(Retry(workspace="a", agent="codex:big"))
    grant = (await claimed(fleet))["a"]
    assert (grant.agent, grant.session) == ("codex:big", "7c1e")


async def test_a_new_task_for_another_program_drops_the_session_too(fleet: Fleet) -> None:
    await blocked_on(fleet, "h1")
    await fleet.host("h1", pools="codex claude")
    await fleet.submit("a", "claude", again=True)
    assert (await claimed(fleet))["a"].session is None


@pytest.mark.parametrize("fields", [{"answer": "x"}, {"agent": "codex"}, {"front": False}])
@pytest.mark.parametrize("chosen", [{}, {"status": "blocked"}, {"workspace": "a", "status": "blocked"}])
async def test_what_is_for_one_is_refused_for_many_and_nothing_is_done(
    fleet: Fleet, fields: dict[str, object], chosen: dict[str, object]
) -> None:
    await blocked_on(fleet, "h1")
    with pytest.raises(InvalidQuestion, match=f"{next(iter(fields))}: is for one workspace.*write") as caught:
        await fleet.store.run(Retry.model_validate({**chosen, **fields}))
    assert len(caught.value.problems) == 1
    assert (await fleet.record("a")).status == "blocked"


@pytest.mark.parametrize("text", ["", " \n\t"])
async def test_an_empty_answer_is_none(fleet: Fleet, text: str) -> None:
    await blocked_on(fleet, "h1")
    with pytest.raises(InvalidQuestion, match="answer: must not be empty"):
        await fleet.store.run(Retry(workspace="a", answer=text))
    assert (await fleet.record("a")).status == "blocked"


@pytest.mark.parametrize("status", ["completed", "failed", "merged"])
async def test_every_ended_one_may_be_told_more(fleet: Fleet, status: str) -> None:
    await fleet.host()
    await fleet.queue("a")
    await fleet.end((await claimed(fleet))["a"], status)
    assert await fleet.store.run(Retry(workspace="a", answer="also the docs")) == Done(count=1)
    assert (await claimed(fleet))["a"].answer == "also the docs"


async def test_an_answer_wakes_the_host_it_is_for(fleet: Fleet) -> None:
    await blocked_on(fleet, "h1")
    await fleet.host("h2")
    async with fleet.listening("h1", "h2") as pokes:
        for host in ("h1", "h2"):
            assert await fleet.granted(host) == []
        await fleet.store.run(Retry(workspace="a", answer="yes"))
        assert await pokes.next() == "h1"
        assert await pokes.heard() == []


@pytest.mark.reference(82)
async def test_every_start_has_its_own_time_and_a_freeze_holds_before_each(fleet: Fleet) -> None:
    await blocked_on(fleet, "h1")
    first = (await fleet.record("a")).started_at
    await fleet.queue("b")
    await fleet.store.run(Retry(workspace="a", answer="yes"))
    await fleet.store.run(Freeze())
    assert await fleet.granted() == []
    await fleet.store.run(Thaw())
    assert await fleet.granted(count=1) == ["a"]
    again = (await fleet.record("a")).started_at
    assert first
    assert again
    assert again > first
    await fleet.store.run(Freeze())
    assert await fleet.granted() == []


async def test_who_loses_its_pin_waits_on_the_route_of_all_hosts_again(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.queue("a")
    await fleet.end((await fleet.claim()).grants[0], "blocked")
    await fleet.store.run(Retry(workspace="a", answer="yes"))
    await fleet.end((await fleet.claim()).grants[0])
    await fleet.store.run(Retry(workspace="a"))
    assert await fleet.redis.hmget("{t}:workspace:a", "requires", "lane") == [None, "codex codex"]
