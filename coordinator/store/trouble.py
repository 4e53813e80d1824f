"""What Redis or the way to it can be wrong with, as one error that says what to do."""

from redis import exceptions as wrong

from coordinator.errors import CoordinatorError, LibraryError, StoreUnavailable, StoreUnusable
from coordinator.library import located

_UNUSABLE = {
    "NOAUTH": "Redis wants a password: put it into REDIS_URL, redis://:PASSWORD@host:6379/0",
    "WRONGPASS": "Redis refuses this user or password: mend REDIS_URL",
    "NOPERM": "this Redis user lacks a right ({text}): grant it with ACL SETUSER, see docs/operating.md",
    "READONLY": "this Redis is a read-only replica: point REDIS_URL at the primary, or use redis+sentinel://",
    "OOM": "Redis is out of memory: raise maxmemory or delete other data; endings are still accepted",
    "MISCONF": "Redis can not save to disk and refuses writes: look at its log and its disk",
    "MOVED": "this is a node of a Redis Cluster that does not hold this namespace: point REDIS_URL at its node",
    "CLUSTERDOWN": "the Redis Cluster is down: look at CLUSTER INFO",
}


def explained(error: wrong.RedisError | OSError, where: str) -> CoordinatorError:
    """The error to raise for what redis-py or the system said; `where` names the server."""
    text = str(error)
    if isinstance(error, wrong.BusyLoadingError) or text.startswith("LOADING"):
        return StoreUnavailable(f"Redis at {where} is loading its data: wait a moment and try again")
    if "Authentication required" in text or "already authenticated" in text:
        return StoreUnusable(_UNUSABLE["NOAUTH"])
    if isinstance(error, wrong.AuthenticationError) or "username-password" in text:
        return StoreUnusable(f"{_UNUSABLE['WRONGPASS']} ({text})")
    if isinstance(error, OSError | wrong.ConnectionError | wrong.TimeoutError):
        return StoreUnavailable(f"Redis at {where} can not be reached ({text}): is it running, and is REDIS_URL right?")
    kinds = {wrong.NoPermissionError: "NOPERM", wrong.ReadOnlyError: "READONLY", wrong.OutOfMemoryError: "OOM"}
    word = next((word for kind, word in kinds.items() if isinstance(error, kind)), "") or text.split(" ", 1)[0]
    if word in _UNUSABLE:
        return StoreUnusable(_UNUSABLE[word].format(text=text))
    if "unknown command" in text.lower():
        return StoreUnusable(f"Redis at {where} is too old ({text}): Redis 7.0 or Valkey 7.2 is needed")
    return LibraryError(located(text))


def is_missing_function(error: object) -> bool:
    """Whether the server has never seen the library, or forgot it."""
    return isinstance(error, wrong.ResponseError) and "unction not found" in str(error)


def is_already_loaded(error: wrong.ResponseError) -> bool:
    """Whether somebody loaded the library a moment before us."""
    return "already exists" in str(error)
