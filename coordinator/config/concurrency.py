"""The `concurrency` section: from pools with totals and models to one flat table of limit keys.

In the file a total of 0 or below, an empty one, or none at all means no limit, and then the limits of its models do not
apply either, as the reference runner reads it; in Redis an absent key means no limit and 0 means closed. So such a key
is left out of the table, and a warning says what it means and how a key is really closed.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from coordinator.errors import Problem
from coordinator.problems import path
from coordinator.words import AGENT, LIMIT_KEY, NUMBER_END, POOL, shown


class Limits(NamedTuple):
    """What the section says: the limits, what is wrong, and what is odd."""

    limits: dict[str, int]
    problems: list[Problem]
    warnings: list[Problem]


def limits_of(section: object) -> Limits:
    """Read the section; it may be absent (nothing)."""
    found = Limits({}, [], [])
    if section is None:
        return found
    if not isinstance(section, Mapping):
        found.problems.append(
            Problem("concurrency", f"must be a mapping (lines of 'name: value'), got {shown(section)}", "codex: 5")
        )
        return found
    for key, value in section.items():
        if isinstance(value, Mapping):
            _pool(key, value, found)
        else:
            _flat(key, value, found)
    return found


def _flat(key: str, value: object, found: Limits) -> None:
    place = path("concurrency", key)
    limit = _limit(key, value, place, found)
    if not LIMIT_KEY.accepts(key):
        _spelling(place, found, "a limit key such as codex, codex:gpt-5.4, repo:core/go-io, org:core, label:gpu or '*'")
    elif limit is not None and limit <= 0:
        found.warnings.append(_no_limit(place, key, _means_none(value)))
    elif limit is not None:
        _set(place, key, limit, found)


def _pool(pool: str, shares: Mapping[str, Any], found: Limits) -> None:
    place = path("concurrency", pool)
    if not POOL.accepts(pool):
        _spelling(place, found, "a pool such as codex (only a pool may have a total and models)")
        return
    given = {name: _limit(name, value, path(place, name), found) for name, value in shares.items()}
    total = given.pop("total", 0)
    for model, limit in given.items():
        key = f"{pool}:{model}"
        if not AGENT.accepts(key):
            _spelling(path(place, model), found, f"a model, so that {pool}:<model> is an agent such as codex:gpt-5.4")
        elif total is not None and total > 0 and limit is not None:
            _model(path(place, model), key, limit, total, found)
    if total is not None and total > 0:
        _set(place, pool, total, found)
    elif total is not None:
        said = _means_none(shares["total"], "a total of ") if "total" in shares else "no total means no limit here"
        found.warnings.append(_no_limit(place, pool, said + (", and its model limits do not apply" if given else "")))


def _model(place: str, key: str, limit: int, total: int, found: Limits) -> None:
    if limit <= 0:
        found.warnings.append(_no_limit(place, key, _means_none(limit)))
        return
    if limit > total:
        problem = f"the model's limit {limit} is above the pool's total {total}, which holds first"
        found.warnings.append(Problem(place, problem, f"write {key.partition(':')[2]}: {total}"))
    _set(place, key, limit, found)


def _limit(name: str, value: object, place: str, found: Limits) -> int | None:
    if value is None:
        return 0  # a name with nothing behind it
    if isinstance(value, int) and -NUMBER_END < value < NUMBER_END:
        return value
    example = f"write {name}: 1" if LIMIT_KEY.accepts(name) or AGENT.accepts(name) else "write a number like 1"
    allowed = "between -1e14 and 1e14" if isinstance(value, int) else "(0 or below: no limit)"
    found.problems.append(Problem(place, f"must be a whole number {allowed}, got {shown(value)}", example))
    return None


def _set(place: str, key: str, limit: int, found: Limits) -> None:
    if found.limits.setdefault(key, limit) != limit:
        problem = f"the key {key} has another limit elsewhere: {found.limits[key]} and {limit}"
        found.problems.append(Problem(place, problem, "keep one of them"))


def _spelling(place: str, found: Limits, wanted: str) -> None:
    found.problems.append(Problem(place, f"is not the name of {wanted}", "spell it so"))


def _means_none(value: object, what: str = "") -> str:
    return "an empty value means no limit here" if value is None else f"{what}{value} means no limit here"


def _no_limit(place: str, key: str, said: str) -> Problem:
    return Problem(place, said, f"to close it run: coordinator limits '{key}' 0")
