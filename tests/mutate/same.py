"""Whether two answers of the library say the same."""

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any, Final

import hiredis

#: What the server lists in an order of its own.
_IN_ITS_ORDER: Final = {"unseen", "held", "running"}


def is_same(one: Any, other: Any) -> bool:
    """Whether they say the same: fields have no order, a list has one where the first of the two is sorted."""
    if isinstance(one, hiredis.ReplyError) and isinstance(other, hiredis.ReplyError):
        return True
    with suppress(ValueError, TypeError):  # what a mutant answers may be no JSON
        one, other = json.loads(one), json.loads(other)
        return _plain(one) == _plain(other) and all(_alike(*lists) for lists in _lists(one, other))
    return bool(one == other)


def _lists(one: Any, other: Any) -> Iterator[tuple[list[Any], list[Any]]]:
    """The lists of two answers, side by side; what lies in a list without an order has no other to lie beside."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in (one.keys() & other.keys()) - _IN_ITS_ORDER:
            yield from _lists(one[name], other[name])
    elif isinstance(one, list) and isinstance(other, list):
        yield one, other
        if _is_sorted(one):
            for left, right in zip(one, other, strict=False):
                yield from _lists(left, right)


def _alike(one: list[Any], other: list[Any]) -> bool:
    return not _is_sorted(one) or [*map(_plain, one)] == [*map(_plain, other)]


def _is_sorted(values: list[Any]) -> bool:
    """By themselves, or by a field that each of them has."""
    if all(isinstance(one, dict) for one in values):
        fields = set.intersection(*(set(one) for one in values)) if values else set()
        return any(_climbs([one[field] for one in values]) for field in fields)
    return _climbs(values)


def _climbs(values: list[Any]) -> bool:
    with suppress(TypeError):
        return all(one < other for one, other in pairwise(values))
    return False


def _plain(value: Any) -> Any:
    """A value without the order of its lists and fields."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()} or []
    return sorted((_plain(one) for one in value), key=repr) if isinstance(value, list) else value
