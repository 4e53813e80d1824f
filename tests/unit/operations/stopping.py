"""Questions that meet a damaged key: asked in their wire form, where the answer names the key."""

import json
from typing import Any

from coordinator.operations._operation import Operation
from tests.model.world import ROOT, World


def ask(world: World, operation: Operation[Any]) -> dict[str, Any]:
    """The answer as it comes over the wire."""
    text: Any = world.redis.fcall(f"dispatch_{operation.name}", 1, ROOT, operation.encoded())
    answer: dict[str, Any] = json.loads(text)
    return answer


def damage(world: World, key: str) -> None:
    """Somebody overwrites a key by hand."""
    world.redis.set(f"{ROOT}:{key}", "by hand")


def names(answer: dict[str, Any]) -> tuple[str, str, str]:
    """What an answer says of damage: its outcome, the key and what that should be."""
    return answer["outcome"], answer["key"].removeprefix(f"{ROOT}:"), answer["expected"]


def changes_nothing(world: World, operation: Operation[Any], key: str, kind: str) -> None:
    """It stops at a damaged key, says what that should be, and leaves every key as it was."""
    before = world.keys()
    assert names(ask(world, operation)) == ("damaged", key, kind)
    assert world.keys() == before
