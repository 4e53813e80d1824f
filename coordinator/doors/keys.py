"""Which type each key of a namespace has, and what brings it back where it was changed by hand."""

import shlex
from collections.abc import Iterable
from typing import Final, NamedTuple

#: Type to the families of keys (the name before the second colon) that have it. A star: one with members.
_OF_TYPE: Final = {
    "hash": (
        "control limits rates:* fair:* backoff backoff_reason fail_count next_start ramp weights frozen summary "
        "workspace:* host:* lanes:*"
    ),
    "set": "slots:* held:* groups:* serves:* served:* accounts:*",
    "zset": "status:* hosts leases lane:* routes ready:* blocked blocked:* timers later ages waiting:* poked pushed",
    "string": "fence place opening",
    "stream": "events inbox",
}
TYPES: Final = {name: kind for kind, names in _OF_TYPE.items() for name in names.split()}
_THEN: Final = {
    "limits": "coordinator config apply",
    "weights": "coordinator config apply",
    "rates:*": "coordinator config apply",
    "accounts:*": "coordinator config apply",
    "control": "coordinator config apply, and coordinator start",
    "host:*": "its next beat brings the host back",
    "hosts": "the next beats bring the hosts back",
}
#: The records first: what follows from them is put right before what waits for it.
_FIRST: Final = ("workspace:*", "slots:*", "held:*")


class Damage(NamedTuple):
    """A key of the wrong type, and how to mend it."""

    key: str
    text: str
    fix: str


def family(root: str, key: str) -> str:
    """The family of a key; empty when no key of this name is used."""
    name = key.removeprefix(f"{root}:")
    first, mark, _ = name.partition(":")
    found = f"{first}:*" if mark else first
    return found if found in TYPES else ""


def damages(root: str, types: dict[str, str]) -> list[Damage]:
    """Every key whose type is not its family's. Nothing is lost by the mend: the key is put aside."""
    found = []
    for key, kind in sorted(types.items()):
        name = family(root, key)
        if name and kind != TYPES[name]:
            aside = f"{root}-damaged:{key.removeprefix(f'{root}:')}"
            then = f"; then {_THEN[name]}" if name in _THEN else ""
            fix = f"put it aside: RENAME {shlex.quote(key)} {shlex.quote(aside)}{then}"
            found.append(Damage(key, f"{key} is a {kind} and must be a {TYPES[name]}", fix))
    return found


def strangers(root: str, types: dict[str, str]) -> list[str]:
    """Keys of the namespace that nobody reads."""
    return sorted(key for key in types if not family(root, key))


def in_order(root: str, names: Iterable[str]) -> list[str]:
    """Those of these names (without the root) that somebody reads, in the order in which faults in them are mended."""
    known = {name: family(root, f"{root}:{name}") for name in names}
    places = {name: place for place, name in enumerate(_FIRST)}
    return sorted(
        (name for name, of in known.items() if of), key=lambda name: (places.get(known[name], len(places)), name)
    )
