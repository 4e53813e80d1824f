"""From what pydantic found to problems that name a place, say what is wrong there and what to write instead."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from coordinator.errors import Problem
from coordinator.words import shown

_WANTED = {
    "string_type": "must be text",
    "dict_type": "must be a mapping (lines of 'name: value')",
    "model_type": "must be a mapping (lines of 'name: value')",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
}


def problems_of(error: ValidationError, root: str = "") -> list[Problem]:
    """Every problem of `error`, each with its path below `root` (`concurrency.codex`, `command.1`)."""
    return [_problem(details, root) for details in error.errors(include_url=False)]


def _problem(details: Mapping[str, Any], root: str) -> Problem:
    place = path(root, *details["loc"])
    kind = details["type"]
    if kind == "wrong":
        return Problem(place, details["ctx"]["problem"], details["ctx"]["fix"])
    if kind == "missing":
        return Problem(place, "is missing", "give it a value")
    if kind == "too_long":
        return Problem(place, f"must have at most {details['ctx']['max_length']} entries", "leave some out")
    if kind in _WANTED:
        return Problem(place, f"{_WANTED[kind]}, got {shown(details['input'])}")
    return Problem(place, f"{details['msg'][0].lower()}{details['msg'][1:]}, got {shown(details['input'])}")


def path(root: str, *steps: str | int) -> str:
    """A place in a document: names and positions joined by dots, as the function library writes them too."""
    for step in steps:
        if step != "[key]":  # pydantic's mark for "the key itself"; the step before it is that key
            root += f".{_step(str(step))}" if root else _step(str(step))
    return root


def _step(name: str) -> str:
    return name if name and name.isascii() and name.isprintable() and len(name) <= 60 else shown(name)


def guess(word: str, known: Iterable[str]) -> str:
    """A question that offers the known word nearest to `word`, empty when none is near."""
    near = difflib.get_close_matches(word[:60], list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""


def unknown_keys(given: object, known: Iterable[str], root: str = "") -> Iterator[Problem]:
    """A warning for each key of `given` that nobody reads; keys that start with `x-` are the writer's own."""
    names = tuple(known)
    if isinstance(given, Mapping):
        for key in given:
            if key not in names and not key.startswith("x-"):
                yield Problem(path(root, key), "is not a known key and is ignored", guess(key, names))
