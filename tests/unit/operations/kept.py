"""All that lies in a server: told, and remembered in the server itself, where it is brought back from in one call."""

from typing import Any

from redis import Redis

State = dict[bytes, bytes]

_KEEP = """
redis.call('SELECT', 1) redis.call('FLUSHDB') redis.call('SELECT', 0)
for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('COPY', key, key, 'DB', 1) end
"""
_BRING_BACK = """
redis.call('FLUSHDB') redis.call('SELECT', 1)
for _, key in ipairs(redis.call('KEYS', '*')) do
  if key ~= ARGV[1] then redis.call('COPY', key, key, 'DB', 0) end
end
"""
_DUMP = """
local told = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  told[#told + 1] = key
  told[#told + 1] = redis.call('DUMP', key)
end
return told
"""


def keep(redis: "Redis") -> list[bytes]:
    """Remember everything, in the server itself, where it is brought back from in one call. The names of its keys."""
    redis.eval(_KEEP, 0)
    keys: list[Any] = redis.keys("*")
    return sorted(keys)


def bring_back(redis: "Redis", without: bytes = b"") -> None:
    redis.eval(_BRING_BACK, 0, without)


def state(redis: "Redis") -> State:
    """Everything, by key."""
    told: Any = redis.eval(_DUMP, 0)
    return dict(zip(told[::2], told[1::2], strict=True))


def digest(redis: "Redis", *key: bytes) -> bytes:
    """The server's own digest of everything, or of one key."""
    words = ("DEBUG", "DIGEST-VALUE", *key) if key else ("DEBUG", "DIGEST")
    digest: list[bytes] | bytes = redis.execute_command(*words)  # type: ignore[no-untyped-call]
    return digest[0] if isinstance(digest, list) else digest


def changed(before: State, after: State) -> set[str]:
    """The keys whose values are not the same in both."""
    return {name.decode() for name in {*before, *after} if before.get(name) != after.get(name)}


def changes(redis: "Redis") -> int:
    """How many changes the server has made since it began: telling them takes a twentieth of the time of a digest."""
    told: dict[str, int] = redis.info("persistence")
    return told["rdb_changes_since_last_save"]
