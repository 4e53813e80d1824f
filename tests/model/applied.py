"""How far a configuration is in force, by the answer of the call that did a part of it."""

from collections.abc import Mapping
from math import inf
from typing import TypeVar

from coordinator.operations.apply import Applied

Value = TypeVar("Value")


def part(answer: Applied, kind: str, was: Mapping[str, Value], shall: Mapping[str, Value]) -> dict[str, Value]:
    """What is in force now: a name that the answer tells is as it shall be, any other as it was.

    Without `more` the answer tells every name that differs.
    """
    differ = {name for name in {*was, *shall} if was.get(name) != shall.get(name)}
    told = {change.path.removeprefix(f"{kind}.") for change in answer.changes if change.path.startswith(f"{kind}.")}
    if kind == "rates":
        told = {path.rpartition(".")[0] for path in told}
    assert told <= differ, f"{kind}: told {told}, where {differ} differ"
    assert answer.more or told == differ, f"{kind}: all is done, and {differ - told} still differ"
    kept = {name: value for name, value in was.items() if name not in told}
    return kept | {name: value for name, value in shall.items() if name in told}


def in_force(limits: Mapping[str, int], key: str) -> float:
    """The limit of a key: its own, else that of the default of its kind."""
    return limits.get(key, limits.get(f"{key.partition(':')[0]}:*" if ":" in key else "", inf))
