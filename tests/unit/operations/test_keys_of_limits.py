"""Keys that have no gate, or no limit, of their own: whoever names one is told which to name instead."""

from typing import Any

import pytest

from coordinator.errors import InvalidQuestion
from coordinator.operations import BackOff, Freeze, GetStatus, Submit, Thaw
from coordinator.operations._operation import Operation
from tests.unit.operations.asking import Fleet


@pytest.mark.parametrize("verb", [Freeze(key="repo:*"), BackOff(key="repo:*", duration=60_000)])
async def test_a_default_is_one_of_limits_and_shuts_nothing(fleet: Fleet, verb: Operation[Any]) -> None:
    with pytest.raises(InvalidQuestion, match="repo:\\* is a default of limits"):
        await fleet.store.run(verb)
    assert await fleet.redis.exists("{t}:frozen", "{t}:backoff") == 0
    await fleet.store.run(Thaw(key="repo:*"))
    await fleet.store.run(BackOff(key="repo:*", clear=True))


@pytest.mark.parametrize("question", ['"key":"accounts:codex","limit":0', '"key":"accounts:*","limit":0'])
async def test_accounts_together_have_no_limit(fleet: Fleet, question: str) -> None:
    """One that was set before the accounts came, and is not looked at, kept what waited for them when they went."""
    answer = await fleet.redis.fcall("dispatch_limit", 1, "{t}", f"{{{question}}}")
    assert "name the pool, or one like account:codex/work" in answer
    with pytest.raises(ValueError, match="account:codex/work"):
        Submit(workspace="w", keys=["accounts:codex"])
    assert await fleet.redis.exists("{t}:limits") == 0


async def test_what_was_written_by_hand_and_is_no_key_or_no_whole_number_stops_nobody(fleet: Fleet) -> None:
    """Else one wrong field keeps status, and with it limits, backoff and doctor, from answering at all."""
    await fleet.host()
    await fleet.redis.hset("{t}:limits", mapping={"a b": 5, "": 1, "accounts:codex": 1, "codex": "1.5"})
    await fleet.redis.hset("{t}:backoff", mapping={"claude": "4102444800000.5"})
    found = {one.key: (one.limit, one.until) for one in (await fleet.store.run(GetStatus())).keys}
    assert found == {"*": (None, None), "codex": (1, None), "claude": (None, 4_102_444_800_000)}
    await fleet.queue("a", "b")
    assert len(await fleet.granted()) == 1
    refusal = await fleet.why("b")
    assert refusal is not None
    assert (refusal.reason, refusal.used, refusal.limit) == ("full", 1, 1)
