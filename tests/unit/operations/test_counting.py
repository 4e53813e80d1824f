"""What counts under which limit key: what runs, of that pool, of that very agent; until its lease has ended."""

import pytest

from coordinator.operations import Explain, Reap
from coordinator.operations.explain import Explained
from tests.unit.operations.asking import Fleet


async def _used(fleet: Fleet, agent: str) -> dict[str, int]:
    """Limit key to its use, in the order in which one more of this agent is judged."""
    await fleet.submit("asking", agent)
    answer = await fleet.store.run(Explain(workspace="asking"))
    assert isinstance(answer, Explained)
    return {view.key: view.used for view in answer.keys}


@pytest.mark.reference(50, 51, 52, "W21", "T40", "T41", "T42", "T44", "T45", "T46")
@pytest.mark.parametrize(
    ("agent", "keys"),
    [
        ("codex", ["*", "codex"]),
        ("claude", ["*", "claude"]),
        ("codex:gpt-5.4", ["*", "codex", "codex:gpt-5.4"]),
        ("claude:haiku", ["*", "claude", "claude:haiku"]),
        ("codex:model:extra", ["*", "codex", "codex:model:extra"]),
        ("opencode:opencode-go/deepseek-v4-pro", ["*", "opencode", "opencode:opencode-go/deepseek-v4-pro"]),
        ("codex:gpt-5.3-codex-spark", ["*", "codex", "codex:gpt-5.3-codex-spark"]),
    ],
)
async def test_an_agent_is_judged_by_its_pool_then_by_its_whole_name(fleet: Fleet, agent: str, keys: list[str]) -> None:
    assert list(await _used(fleet, agent)) == keys


@pytest.mark.reference(52, "W21")
async def test_a_spark_model_counts_and_is_limited_under_codex(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await fleet.limit("codex", 5)
    await fleet.limit("codex:gpt-5.3-codex-spark", 3)
    await fleet.queue(*(f"s{number}" for number in range(5)), agent="codex:gpt-5.3-codex-spark")
    assert len(await fleet.granted()) == 3
    assert await fleet.redis.scard("{t}:slots:codex") == 3


@pytest.mark.reference("T52", "T56")
async def test_where_nothing_runs_nothing_counts(fleet: Fleet) -> None:
    assert await _used(fleet, "codex:gpt-5.4") == {"*": 0, "codex": 0, "codex:gpt-5.4": 0}


@pytest.mark.reference("T53", "T54", "T57")
async def test_only_what_runs_of_that_pool_and_that_model_counts(fleet: Fleet) -> None:
    await fleet.end(await fleet.ask_for("completed", "codex:gpt-5.4"))
    await fleet.queue("queued", agent="codex:gpt-5.4")
    await fleet.ask_for("claude", "claude")
    await fleet.ask_for("plain", "codex")
    await fleet.ask_for("spark", "codex:gpt-5.3-codex-spark")
    assert await _used(fleet, "codex:gpt-5.4") == {"*": 3, "codex": 2, "codex:gpt-5.4": 0}


@pytest.mark.reference(56, 57)
async def test_an_agent_without_a_model_fills_its_pool_and_no_model(fleet: Fleet) -> None:
    await fleet.limit("codex", 2)
    await fleet.limit("codex:gpt-5.4", 1)
    await fleet.ask_for("model", "codex:gpt-5.4")
    await fleet.ask_for("plain", "codex")
    assert await _used(fleet, "codex:gpt-5.4") == {"*": 2, "codex": 2, "codex:gpt-5.4": 1}
    no = await fleet.why("asking")  # both are full: the pool says so
    assert no is not None
    assert (no.key, no.text) == ("codex", "queue at capacity: total 2/2")


@pytest.mark.reference(58, "W1", "T50", "T55", "T58")
async def test_dead_runs_count_until_their_leases_end_and_no_longer(fleet: Fleet) -> None:
    await fleet.limit("codex", 5)
    await fleet.host("dead", slots=9)
    await fleet.queue(*(f"d{number}" for number in range(5)), agent="codex:gpt-5.4")
    assert len(await fleet.granted("dead")) == 5
    await fleet.host("h1", slots=9)
    await fleet.queue("next", priority=9)
    assert await fleet.granted("h1") == []
    await fleet.lapse(*(f"d{number}" for number in range(5)))
    await fleet.store.run(Reap())
    assert (await fleet.redis.scard("{t}:slots:codex"), await fleet.redis.scard("{t}:slots:codex:gpt-5.4")) == (0, 0)
    assert (await fleet.granted("h1"))[0] == "next"


@pytest.mark.reference(25, "T60", "T61")
async def test_where_nothing_waits_nothing_starts(fleet: Fleet) -> None:
    await fleet.host()
    answer = await fleet.claim()
    assert (answer.grants, answer.refusal, answer.more) == ((), None, False)
    assert (await fleet.store.run(Reap())).lost == ()
