"""submit: queued once, or granted to the asker at once."""

import pytest

from coordinator.operations import Cancel, Freeze
from coordinator.operations.submit import AlreadyKnown, Granted, Queued, Refused
from tests.unit.operations.asking import Fleet


@pytest.mark.reference(9)
async def test_what_is_submitted_waits_in_its_lane_by_place(fleet: Fleet) -> None:
    await fleet.host()
    assert await fleet.claim() is not None  # h1 waits now, and is woken for the first
    first, second = await fleet.submit("a", task="x"), await fleet.submit("b")
    assert isinstance(first, Queued)
    assert isinstance(second, Queued)
    assert (first.place, second.place) == (1, 2)
    record = await fleet.record("a")
    assert (record.status, record.task, record.priority, record.attempt) == ("queued", "x", 5, 0)


@pytest.mark.reference(23, "T16", "T18")
async def test_a_waiting_host_is_woken_and_then_nothing_holds_it_back(fleet: Fleet) -> None:
    await fleet.host(slots=1)
    async with fleet.listening("h1") as pokes:
        await fleet.claim()
        await fleet.queue("a")
        assert await pokes.heard() == ["h1"]
        await fleet.queue("b")
        assert await pokes.heard() == []  # it was woken; its claim looks at both


@pytest.mark.reference("W8")
async def test_submitting_twice_is_submitting_once(fleet: Fleet) -> None:
    await fleet.queue("a")
    assert await fleet.submit("a") == AlreadyKnown(status="queued")
    await fleet.host()
    (grant,) = (await fleet.claim()).grants
    assert await fleet.submit("a", again=True) == AlreadyKnown(status="running", host="h1")
    await fleet.end(grant)
    assert await fleet.submit("a") == AlreadyKnown(status="completed", host="h1")
    assert await fleet.facts() == ["Thawed", "AgentStarted", "AgentCompleted", "QueueDrained", "ChannelPush"]


async def test_again_queues_what_has_ended_and_forgets_what_its_run_left(fleet: Fleet) -> None:
    await fleet.end(await fleet.ask_for("a"), "failed", question="why?")
    assert (await fleet.submit("a", again=True, task="once more")).outcome == "queued"
    record = await fleet.record("a")
    assert (record.status, record.question, record.task, record.attempt, record.runs) == (
        "queued",
        None,
        "once more",
        0,
        1,
    )


@pytest.mark.reference(13, "W5", "T25", "T49")
async def test_an_asker_is_granted_what_no_host_serves(fleet: Fleet) -> None:
    grant = await fleet.ask_for("a", "codex:gpt-5.4", org="core", repo="io", ttl=5000)
    assert (grant.workspace, grant.ttl, grant.attempt, grant.repo) == ("a", 5000, 1, "io")
    for key in ("*", "codex", "codex:gpt-5.4", "repo:core/io"):
        assert await fleet.redis.smembers(f"{{t}}:slots:{key}") == {"a"}
    assert (await fleet.record("a")).mode == "asker"


@pytest.mark.reference("W8")
async def test_an_asker_gets_the_same_grant_again_by_its_id(fleet: Fleet) -> None:
    grant = await fleet.ask_for("a", id="r1")
    again = await fleet.submit("a", asker="svc", id="r1")
    assert isinstance(again, Granted)
    assert again.grant.token == grant.token
    assert 0 < again.grant.ttl <= grant.ttl  # what is left of it
    assert await fleet.submit("a", asker="svc", id="r2") == AlreadyKnown(status="running", host="svc")
    assert await fleet.submit("a", asker="other", id="r1") == AlreadyKnown(status="running", host="svc")
    assert await fleet.redis.scard("{t}:slots:*") == 1


async def test_asked_to_run_again_under_one_id_it_runs_once(fleet: Fleet) -> None:
    await fleet.end(await fleet.ask_for("a", id="r1"))
    grant = await fleet.ask_for("a", again=True, id="r2")
    assert isinstance(await fleet.submit("a", asker="svc", again=True, id="r2"), Granted)
    await fleet.end(grant)
    assert await fleet.submit("a", asker="svc", again=True, id="r2") == AlreadyKnown(status="completed", host="svc")
    assert (await fleet.record("a")).runs == 2


async def test_what_waited_under_an_id_is_known_by_it_when_it_has_run(fleet: Fleet) -> None:
    assert isinstance(await fleet.submit("a", id="q1"), Queued)
    await fleet.host()
    (grant,) = (await fleet.claim()).grants
    assert await fleet.submit("a", asker="h1", id="q1") == AlreadyKnown(status="running", host="h1")
    await fleet.end(grant)
    assert await fleet.submit("a", again=True, id="q1") == AlreadyKnown(status="completed", host="h1")
    assert isinstance(await fleet.submit("a", again=True), Queued)
    await fleet.store.run(Cancel(workspace="a"))
    assert isinstance(await fleet.submit("a", again=True, id="q1"), Queued)  # it is not the last one's any more


@pytest.mark.reference(11, 13, "W5")
async def test_an_asker_that_wants_it_now_or_never_leaves_nothing(fleet: Fleet) -> None:
    await fleet.limit("codex", 1)
    await fleet.ask_for("a")
    keys = await fleet.redis.keys("*")
    answer = await fleet.submit("b", asker="svc", otherwise="refuse")
    assert isinstance(answer, Refused)
    assert answer.refusal.text == "queue at capacity: total 1/1"
    assert answer.refusal.holders == ("a",)
    assert sorted(await fleet.redis.keys("*")) == sorted(keys)


@pytest.mark.reference(10, "T94")
async def test_an_asker_is_queued_when_it_may_wait(fleet: Fleet) -> None:
    await fleet.limit("codex", 1)
    await fleet.ask_for("a")
    assert (await fleet.submit("b", asker="svc")).outcome == "queued"
    await fleet.host()
    assert await fleet.granted() == []
    await fleet.store.run(Freeze())
    answer = await fleet.submit("c", "gemini", asker="svc")
    assert isinstance(answer, Queued)
    assert answer.refusal is not None
    assert answer.refusal.text == "queue is frozen"


async def test_an_asker_that_renews_without_naming_slots_has_no_bound_of_its_own(fleet: Fleet) -> None:
    await fleet.beat("svc", await fleet.ask_for("a"))
    await fleet.ask_for("b")


async def test_an_asker_that_names_its_slots_gets_no_more(fleet: Fleet) -> None:
    await fleet.host("svc", slots=1)
    await fleet.ask_for("a")
    answer = await fleet.submit("b", asker="svc", otherwise="refuse")
    assert isinstance(answer, Refused)
    assert (answer.refusal.reason, answer.refusal.text) == ("hosts_full", "host svc is full: 1/1")


@pytest.mark.reference("T96")
@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"agent": "codx"}, "no host serves 'codx'"),
        ({"labels": ["gpu", "arm"]}, "no host serves 'codex' with labels arm, gpu"),
        ({"host": "h9"}, "host h9 is not there to serve 'codex'"),
        ({"host": "h1", "agent": "claude"}, "host h1 does not serve 'claude'"),
    ],
)
async def test_what_no_host_serves_is_queued_and_says_so(fleet: Fleet, more: dict[str, object], text: str) -> None:
    await fleet.host(labels=["gpu"])
    answer = await fleet.submit("a", **more)  # type: ignore[arg-type]
    assert isinstance(answer, Queued)
    assert answer.refusal is not None
    assert (answer.refusal.reason, answer.refusal.text) == ("no_host", text)


async def test_a_host_that_waited_and_went_silent_is_not_on_its_way(fleet: Fleet) -> None:
    await fleet.host()
    assert await fleet.granted() == []
    await fleet.redis.hset("{t}:host:h1", "beat", "1")
    answer = await fleet.submit("a")
    assert isinstance(answer, Queued)
    assert answer.refusal is not None
    assert answer.refusal.text == "every host that serves codex is quiet or silent"


async def test_labels_and_hosts_lead_the_way(fleet: Fleet) -> None:
    await fleet.host("h1", labels=["gpu"])
    await fleet.host("h2")
    await fleet.queue("any")
    await fleet.queue("gpu", labels=["gpu"])
    await fleet.queue("mine", host="h2")
    assert await fleet.granted("h2") == ["any", "mine"]
    assert await fleet.granted("h1") == ["gpu"]


async def test_a_host_that_comes_later_serves_the_routes_it_fits(fleet: Fleet) -> None:
    await fleet.queue("a", labels=["gpu"])
    await fleet.host("h1")
    assert await fleet.granted("h1") == []
    await fleet.host("h1", labels=["gpu", "x"])
    assert await fleet.granted("h1") == ["a"]


async def test_an_empty_list_of_labels_is_none(fleet: Fleet) -> None:
    await fleet.queue("a", labels=[])
    assert await fleet.redis.hget("{t}:workspace:a", "labels") is None
