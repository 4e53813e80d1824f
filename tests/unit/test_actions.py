"""The six actions from Python: the same words as at the command line, over verbs asked to their end."""

from typing import Any

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator import actions
from coordinator.errors import InvalidQuestion
from coordinator.operations import Apply, BackOff, Track
from coordinator.operations._operation import Operation
from coordinator.operations.submit import Granted
from coordinator.store import Store
from tests.unit.operations.asking import Fleet

EACH = ("queued", "running", "completed", "merged", "ready-for-review", "failed", "blocked")


@pytest.fixture
def store(raw: AsyncRedis) -> Store:
    """A new namespace, still frozen."""
    return Store(raw, "{t}")


async def test_a_text_in_a_lists_place_is_no_list_of_its_letters(store: Store) -> None:
    with pytest.raises(InvalidQuestion, match="labels"):
        await actions.dispatch(store, "a", labels="gpu")
    with pytest.raises(InvalidQuestion, match="keys"):
        await actions.dispatch(store, "a", keys="db")
    assert (await actions.status(store)).groups["total"] == 0


@pytest.mark.reference(10, "T24")
async def test_nothing_is_dispatched_while_the_queue_is_frozen(store: Store) -> None:
    asked = await actions.dispatch(store, "a", "codex", asker="svc", otherwise="refuse")
    assert (asked.outcome, asked.text) == ("refused", "queue is frozen")
    waits = await actions.dispatch(store, "a", "codex")
    assert (waits.outcome, waits.text) == ("queued", "queued - queue is frozen")


@pytest.mark.reference(11, 12, "W8")
async def test_a_dispatch_over_a_limit_says_how_full_it_is_and_is_kept_where_it_waits(store: Store) -> None:
    await actions.start(store)
    await store.run(Apply(limits={"codex": 5, "codex:gpt-5.4": 1}))
    agents = ["codex:gpt-5.4", "codex", "codex", "codex", "codex"]
    for at, agent in enumerate(agents):
        asked = await actions.dispatch(store, f"a/{at}", agent, asker="svc", otherwise="refuse")
        assert asked.text == "granted"
        if at == 0:
            full = await actions.dispatch(store, "b", "codex:gpt-5.4", asker="svc", otherwise="refuse")
            assert (full.outcome, full.text) == ("refused", "queue at capacity: model gpt-5.4 1/1")
    full = await actions.dispatch(store, "b", "codex", asker="svc", otherwise="refuse")
    assert (full.outcome, full.text) == ("refused", "queue at capacity: total 5/5")
    assert (await actions.status(store)).groups["total"] == 5
    kept = await actions.dispatch(store, "b", "codex", asker="svc")
    assert (kept.outcome, kept.text) == ("queued", "queued - queue at capacity: total 5/5")
    assert (await actions.dispatch(store, "b", "codex")).text == "already queued"
    assert (await actions.status(store)).alone["queued"] == 1


@pytest.mark.reference(13, "T25")
async def test_a_dispatch_that_is_allowed_holds_its_slot_at_once(store: Store) -> None:
    await actions.start(store)
    asked = await actions.dispatch(store, "a", "codex", asker="svc", otherwise="refuse")
    assert isinstance(asked.reply, Granted)
    assert (await actions.status(store)).groups["running"] == 1


@pytest.mark.reference(15, 76, "W4")
async def test_a_pool_that_backs_off_refuses_an_asker(store: Store) -> None:
    await actions.start(store)
    await store.run(BackOff.model_validate({"key": "codex", "for": 60_000}))
    asked = await actions.dispatch(store, "a", "codex:gpt-5.4", asker="svc", otherwise="refuse")
    assert asked.outcome == "refused"
    assert asked.text.startswith("codex backs off for ")


@pytest.mark.reference(9, "W23")
async def test_the_default_agent_is_that_of_the_configuration(store: Store) -> None:
    await store.run(Apply(default_agent="gemini:pro", limits={"gemini": 0}))
    await actions.start(store)
    assert (await actions.dispatch(store, "a")).text.startswith("queued - queue at capacity: total 0/0")
    assert (await Fleet(store, store.redis).record("a")).agent == "gemini:pro"


@pytest.mark.reference(16, "W24", "T19", "T21")
async def test_status_counts_by_group_and_each_status_alone(store: Store) -> None:
    workspaces = [{"workspace": f"w/{status}", "status": status} for status in EACH if status != "running"]
    await store.run(Track.model_validate({"workspaces": workspaces}))
    await actions.start(store)
    await actions.dispatch(store, "w/running", "codex", asker="svc")
    summary = await actions.status(store)
    assert summary.groups == {"running": 1, "queued": 1, "completed": 3, "failed": 2, "total": 7}
    assert summary.alone == dict.fromkeys(EACH, 1)
    assert summary.text == "1 running, 1 queued, 3 completed, 2 failed (1 blocked), 7 in all"


@pytest.mark.reference(16, "T20")
async def test_an_empty_registry_counts_nothing(store: Store) -> None:
    assert set((await actions.status(store)).groups.values()) == {0}


@pytest.mark.reference(8, 17, 18, "T9", "T22", "T23")
async def test_start_thaws_and_stop_freezes_and_the_last_word_counts(store: Store) -> None:
    assert (await actions.start(store)).text == "dispatch started"
    await actions.dispatch(store, "a", "codex", asker="svc")
    for _ in range(20):
        assert (await actions.stop(store, by="ana", reason="release")).text == "queue frozen"
        assert (await actions.start(store)).text == "dispatch started"
    assert not (await actions.status(store)).fleet.frozen
    await actions.stop(store)
    summary = await actions.status(store)
    assert summary.fleet.frozen
    assert summary.groups["running"] == 1
    assert (await actions.stop(store, "codex")).text == "codex frozen"
    assert (await actions.start(store, "codex")).text == "dispatch started for codex"


async def test_a_stop_for_a_while_says_until_when(store: Store) -> None:
    stopped = await actions.stop(store, lasts=60_000)
    summary = await actions.status(store)
    assert stopped.until is not None
    assert 0 < stopped.until - summary.fleet.now <= 60_000
    assert summary.fleet.frozen


@pytest.mark.reference(19, 20, "W13")
async def test_kill_of_everything_freezes_ends_and_clears_in_as_many_parts_as_it_takes(store: Store) -> None:
    await actions.start(store)
    await actions.dispatch(store, "r", "codex", asker="svc")
    names = [f"q/{number}" for number in range(600)]
    for start in range(0, 600, 200):
        some = [{"workspace": name, "agent": "codex"} for name in names[start : start + 200]]
        await store.run(Track.model_validate({"workspaces": some}))
    killed = await actions.kill(store, by="ana", reason="wrong branch")
    assert (killed.running, killed.cleared, killed.frozen) == (("r",), 600, True)
    assert killed.text == "killed 1 agents, cleared 600 queued"
    summary = await actions.status(store)
    assert (summary.fleet.frozen, summary.alone["running"], summary.alone["failed"]) == (True, 1, 600)
    record = await Fleet(store, store.redis).record("r")
    assert record.kill
    assert (record.kill.by, record.kill.reason) == ("ana", "wrong branch")


async def test_kill_with_a_selector_ends_just_those(store: Store) -> None:
    await actions.start(store)
    for name, agent in (("a", "codex"), ("b", "claude")):
        await actions.dispatch(store, name, agent, asker="svc")
        await actions.dispatch(store, f"{name}/waits", agent, host="h9")
    killed = await actions.kill(store, agent="codex")
    assert (killed.running, killed.cleared, killed.frozen) == (("a",), 1, False)
    assert (await actions.kill(store, "b/waits")).cleared == 1
    assert not (await actions.status(store)).fleet.frozen


@pytest.mark.parametrize("named", [{"workspace": ""}, {"agent": ""}, {"agent": "codex", "host": "h1"}])
async def test_an_empty_or_a_second_name_never_means_everything(store: Store, named: dict[str, str]) -> None:
    await actions.start(store)
    with pytest.raises(InvalidQuestion):
        await actions.kill(store, **named)
    assert not (await actions.status(store)).fleet.frozen


@pytest.mark.reference(21)
async def test_poke_does_what_is_due_and_says_what_it_found(store: Store) -> None:
    await actions.start(store)
    fleet = Fleet(store, store.redis)
    for number in range(70):
        await actions.dispatch(store, f"a/{number}", "codex", asker="svc")
    await fleet.lapse(*(f"a/{number}" for number in range(70)))
    poked = await actions.poke(store)
    assert len(poked.lost) == 70
    assert {lost.status for lost in poked.lost} == {"blocked"}
    assert poked.text == "poked; no replica listens (workers find work by themselves); 70 lost runs ended"
    assert (await actions.poke(store)).lost == ()


async def test_every_wrong_field_of_a_dispatch_is_named(store: Store) -> None:
    with pytest.raises(InvalidQuestion) as caught:
        await actions.dispatch(store, "../x", "co dex", priority=12)
    assert [problem.field for problem in caught.value.problems] == ["workspace", "agent", "priority"]


async def test_an_asker_whose_answer_was_lost_on_its_way_gets_the_same_grant(raw: AsyncRedis) -> None:
    """The client asks again by itself: the second question is the first."""

    class Lossy(Store):
        async def run(self, operation: Operation[Any]) -> Any:
            await super().run(operation)
            return await super().run(operation)

    store = Lossy(raw, "{t}")
    await actions.start(store)
    asked = await actions.dispatch(store, "a", "codex", asker="svc")
    assert asked.outcome == "granted"
    other = await actions.dispatch(store, "a", "codex", asker="svc")
    assert other.text == "already running"
