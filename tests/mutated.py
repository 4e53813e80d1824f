"""What is nearly right: real examples, damaged in one place or a few. About half of it is still a JSON object.

A seed and the examples say all of it; nothing depends on when or where it is made.
"""

import copy
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final

Example = dict[str, Any]

_NUMBERS: Final[list[Any]] = [0, 1, -1, 1.5, 5.0, 10**14 - 1, 10**14, -(10**14), 10**30, 1e308, 2**31, 2**63]
_TEXTS: Final[list[Any]] = [
    *("", " ", "a", "w", "q", "e", "*", "..", "../x", "/a", "a/b", "codex", "core/go-io", "completed", "running"),
    *("queued", "0x10", "30m", "-5s", "9999999h", "2026-13-45T99:00:00Z", "0001-01-01T00:00:00Z", "17-0", "h1", "true"),
    *("\x00", "a\nb", "\x7f", "é" * 300, "\ud800", "\u202e", "\U0001f600", "a" * 201, "é" * 33_000, "1" * 41),
]  # fmt: skip
_OTHERS: Final[list[Any]] = [None, True, False, [], {}, [[]], [None], {"a": {}}, ["a", 5], [{"workspace": "w"}]]
_PIECES: Final = [*'{}[]",:\\', "true", "null", "0x10", "NaN", "1e400", "-", "\x00", "é", '\\ud83d"', '"seq":"1-1",']
_NAMES: Final = [
    "type",
    "workspace",
    "seq",
    "token",
    "data",
    "status",
    "host",
    "keys",
    "wrokspace",
    "",
    "é",
    "__proto__",
]


def damaged(dice: random.Random, example: Example, more: Sequence[Any] = ()) -> bytes:
    """One example with one to three of its fields taken out, renamed, exchanged, nested or doubled; of most of them
    the text too is cut, repeated or overwritten somewhere. `more` are further values that may stand in a field."""
    said = copy.deepcopy(example)
    for _ in range(dice.choice((1, 1, 1, 3))):
        _field(dice, said, more)
    text = json.dumps(said, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    return text if dice.random() < 0.3 else torn(dice, text)


def many(seed: int, count: int, examples: Sequence[Example], more: Sequence[Any] = ()) -> Iterator[bytes]:
    """So many of them."""
    dice = random.Random(seed)
    for _ in range(count):
        yield damaged(dice, dice.choice(examples), more)


def is_object(raw: bytes) -> bool:
    """Whether a strict reader sees one JSON object there."""
    try:
        return isinstance(json.loads(raw), dict)
    except ValueError:
        return False


def _field(dice: random.Random, said: Example, more: Sequence[Any]) -> None:
    """Damage one field: mostly of `said` itself, else of something it holds."""
    inner = [one for held in said.values() for one in _objects(held)]
    target = dice.choice(inner) if inner and dice.random() < 0.5 else said
    names = [*target, *(["another"] if not target else [])]
    name = dice.choice([*names, *names, dice.choice(_NAMES)])
    how = dice.randrange(8)
    if how == 0:
        target.pop(name, None)
    elif how == 1 and name in target:
        target[dice.choice([*_NAMES, name.upper(), f"{name} "])] = target.pop(name)
    elif how == 2 and name in target:
        target[name] = dice.choice(([target[name]], {"a": target[name]}, [target[name]] * 2, str(target[name])))
    elif how == 3:
        deep: Any = 1
        for _ in range(dice.choice((5, 70))):
            deep = dice.choice(([deep], {"a": deep}))
        target[name] = deep
    else:
        kinds = [_NUMBERS, _TEXTS, _OTHERS, *([more] * 3 if more else [])]
        target[name] = copy.deepcopy(dice.choice(dice.choice(kinds)))


def _objects(held: Any) -> Iterator[Example]:
    if isinstance(held, dict):
        yield held
    for one in held.values() if isinstance(held, dict) else held if isinstance(held, list) else ():
        yield from _objects(one)


def torn(dice: random.Random, text: bytes) -> bytes:
    how = dice.randrange(5)
    if how == 0:
        return text[: dice.randrange(len(text))]
    if how == 1:  # a field twice
        pair = dice.choice(
            [b'"workspace":"w",', b'"status":"merged",', b'"token":5,', b'"type":"PokeQueue",', b'"a":1,']
        )
        return text[:1] + pair + text[1:]
    for _ in range(dice.choice((1, 2, 5))):
        start = dice.randrange(len(text) + 1)
        end = min(len(text), start + dice.choice((0, 1, 2, 10)))
        if how == 2:
            middle = bytes(byte ^ (1 << dice.randrange(8)) for byte in text[start:end])
        elif how == 3:
            middle = text[start:end] * 2
        else:
            middle = dice.choice(_PIECES).encode("utf-8", "surrogatepass")
        text = text[:start] + middle + text[end:]
    return text
