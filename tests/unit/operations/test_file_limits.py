"""What a file says of limits holds for what starts: the forms of the reference runner, judged by the library."""

import pytest

from coordinator.config.fleet import parse, unconfigured
from coordinator.models import Refusal
from coordinator.operations import Host
from coordinator.operations.submit import Granted, Refused
from coordinator.replica.replica import application
from tests.unit.operations.asking import Fleet


async def apply(fleet: Fleet, concurrency: str) -> None:
    await fleet.store.run(application(parse(f"concurrency: {concurrency}")[0]))


async def start(fleet: Fleet, name: str, agent: str) -> Refusal | None:
    """None where it may start now, else who says no."""
    answer = await fleet.submit(name, agent, asker="svc", otherwise="refuse")
    assert isinstance(answer, Granted | Refused)
    return answer.refusal if isinstance(answer, Refused) else None


@pytest.mark.reference(60, "T48", "T49")
async def test_without_a_file_claude_and_gemini_are_limited_and_no_other_agent_is(fleet: Fleet) -> None:
    await fleet.store.run(application(unconfigured()))
    said = [
        await start(fleet, f"{agent}-{n}", agent) for agent in ("claude", "gemini", "codex", "zed") for n in range(4)
    ]
    assert [no.text if no else "" for no in said] == [
        *["", *["queue at capacity: total 1/1"] * 3],
        *["", "", "", "queue at capacity: total 3/3"],
        *[""] * 8,
    ]


@pytest.mark.reference(55, "T39", "T51")
@pytest.mark.parametrize("codex", ["0", "-1", "{total: 0, gpt-5.4: 1}", "{total: -5, gpt-5.4: 1}", "{gpt-5.4: 1}", ""])
async def test_a_pool_without_a_total_above_0_is_unlimited_and_its_models_too(fleet: Fleet, codex: str) -> None:
    await apply(fleet, "{codex: {total: 1, gpt-5.4: 1}}")
    await apply(fleet, f"\n  codex: {codex}\n")
    assert [await start(fleet, f"w{n}", "codex:gpt-5.4") for n in range(4)] == [None] * 4


@pytest.mark.reference(56, 57)
async def test_the_pool_is_judged_before_the_model_and_an_agent_without_a_model_counts_for_the_pool(
    fleet: Fleet,
) -> None:
    await apply(fleet, "{codex: {total: 3, gpt-5.4: 1, mini: 0}}")
    assert await start(fleet, "a", "codex:gpt-5.4") is None
    no = await start(fleet, "b", "codex:gpt-5.4")
    assert no
    assert (no.key, no.text) == ("codex:gpt-5.4", "queue at capacity: model gpt-5.4 1/1")
    assert await start(fleet, "c", "codex:mini") is None
    assert await start(fleet, "d", "codex") is None
    for agent in ("codex:gpt-5.4", "codex:mini", "codex"):
        no = await start(fleet, "e", agent)
        assert no
        assert (no.key, no.text) == ("codex", "queue at capacity: total 3/3")


@pytest.mark.reference(52, "W21")
async def test_a_limit_of_a_spark_model_holds_in_its_pool(fleet: Fleet) -> None:
    await apply(fleet, "{codex: {total: 5, gpt-5.3-codex-spark: 1}}")
    assert await start(fleet, "a", "codex:gpt-5.3-codex-spark") is None
    no = await start(fleet, "b", "codex:gpt-5.3-codex-spark")
    assert no
    assert no.text == "queue at capacity: model gpt-5.3-codex-spark 1/1"
    assert await start(fleet, "c", "codex-spark") is None


@pytest.mark.reference("T50")
async def test_five_runs_that_are_proved_dead_hold_no_slot_of_a_pool_of_five(fleet: Fleet) -> None:
    await apply(fleet, "{codex: 5}")
    names = ["a", "b", "c", "d", "e"]
    await fleet.host("h1", slots=9)
    await fleet.host("h2", slots=9)
    await fleet.queue(*names)
    assert await fleet.granted("h1") == names
    assert await start(fleet, "f", "codex") is not None
    await fleet.store.run(Host(host="h1", action="forget", dead=True))
    assert await fleet.granted("h2") == names
