"""The names of a namespace's keys, in steps that do not hold up the server."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

Do = Callable[..., Awaitable[Any]]
_LONGEST: Final = 4096  # bytes


async def step(do: Do, root: str, cursor: int, count: int) -> tuple[int, list[bytes]]:
    """Some keys, and the cursor to go on with; 0 at the end."""
    found = await do("SCAN", cursor, "MATCH", f"{root}:*".replace("{", "\\{"), "COUNT", count)
    return int(found[0]), [key if isinstance(key, bytes) else str(key).encode() for key in found[1]]


async def steps(do: Do, root: str) -> AsyncIterator[list[bytes]]:
    """All of them, once each, as they are found."""
    seen: set[bytes] = set()
    cursor, more = 0, True
    while more:
        cursor, found = await step(do, root, cursor, 500)
        yield [key for key in dict.fromkeys(found) if key not in seen]
        seen.update(found)
        more = cursor != 0


def names(root: str, found: list[bytes]) -> list[str]:
    """Keys without the root, as text. One that no question can name is left out: nobody here made it."""
    out = []
    for key in found:
        name = key[len(root) + 1 :]
        if 0 < len(name) <= _LONGEST and not {0, 10} & set(name):
            with contextlib.suppress(UnicodeDecodeError):
                out.append(name.decode())
    return out
