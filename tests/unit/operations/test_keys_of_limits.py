"""Keys that have no gate, or no limit, of their own: whoever names one is told which to name instead."""

from typing import Any

import pytest

from coordinator.errors import InvalidQuestion
from coordinator.operations import BackOff, Freeze, Submit, Thaw
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
