"""What Redis or the way to it can be wrong with, as one error that says what to do."""

from redis import exceptions as wrong

from coordinator.errors import CoordinatorError, LibraryError, StoreUnavailable, StoreUnusable
from coordinator.library import located
from coordinator.store.rights import is_denied, lacking

_UNUSABLE = {
    "NOAUTH": "Redis wants a password: put it into REDIS_URL, redis://:PASSWORD@host:6379/0",
    "WRONGPASS": "Redis refuses this user or password: mend REDIS_URL",
    "READONLY": "this Redis is a read-only replica: point REDIS_URL at the primary, or use redis+sentinel://",
    "OOM": "Redis is out of memory: raise maxmemory or delete other data; endings are still accepted",
    "MISCONF": "Redis can not save to disk and refuses writes: look at its log and its disk",
    "NOREPLICAS": "Redis has fewer replicas than min-replicas-to-write and refuses writes: look at its replicas",
    "MOVED": "this is a node of a Redis Cluster that does not hold this namespace: point REDIS_URL at its node",
    "CLUSTERDOWN": "the Redis Cluster is down: look at CLUSTER INFO",
}
#: What passes by itself; asking again is safe.
_PASSES = {
    "LOADING": "is loading its data: wait a moment and try again",
    "MASTERDOWN": "is a replica that has lost its primary: wait until it is promoted or its primary is back",
    "BUSY": "runs a script of somebody that does not end: wait, or `redis-cli {kill}`",
    "UNBLOCKED": "has just become a replica: ask the new primary",
}
#: Errors of which redis-py keeps the first word for itself.
_WORDS: dict[type[Exception], str] = {
    wrong.BusyLoadingError: "LOADING",
    wrong.ReadOnlyError: "READONLY",
    wrong.OutOfMemoryError: "OOM",
    wrong.MasterDownError: "MASTERDOWN",
    wrong.ClusterDownError: "CLUSTERDOWN",
    wrong.MovedError: "MOVED",
}
_NAME_ONE = (
    "name one in REDIS_URL, "
    "rediss://HOST:6379/0?ssl_ca_certs=/path/ca.pem&ssl_certfile=/path/me.crt&ssl_keyfile=/path/me.key"
)
#: What the TLS of Python says -> what to do. They are told with the address, and are wrong until somebody mends them.
_TLS = {
    "CERTIFICATE_VERIFY_FAILED": "shows a certificate that is not trusted ({text}): name the file of its CA in "
    "REDIS_URL, rediss://HOST:6379/0?ssl_ca_certs=/path/ca.pem, and the host as the certificate does",
    "certificate required": f"wants a certificate of its clients ({{text}}): {_NAME_ONE}",
}
#: How a connection ends that a server does not want. Its reason is lost where we had sent something before it came.
_ENDED = ("reset by peer", "closed by server", "Broken pipe")


def explained(error: wrong.RedisError | OSError, where: str) -> CoordinatorError:
    """The error to raise for what redis-py or the system said; `where` names the server."""
    text = str(error)
    word = next((word for kind, word in _WORDS.items() if isinstance(error, kind)), "") or text.split(" ", 1)[0]
    if word in _PASSES:
        kill = "FUNCTION KILL" if "FUNCTION KILL" in text else "SCRIPT KILL"
        return StoreUnavailable(f"Redis at {where} {_PASSES[word].format(kill=kill)}")
    if "Authentication required" in text or "already authenticated" in text:
        return StoreUnusable(_UNUSABLE["NOAUTH"])
    if isinstance(error, wrong.AuthenticationError) or "username-password" in text:
        return StoreUnusable(f"{_UNUSABLE['WRONGPASS']} ({text})")
    if said := next((said for sign, said in _TLS.items() if sign in text), ""):
        return StoreUnusable(f"Redis at {where} {said.format(text=text)}")
    if where.startswith("rediss://") and "No such file" in text:
        return StoreUnusable(f"a file that REDIS_URL names is not there or can not be read: {where}")
    if "max number of clients" in text:
        return StoreUnavailable(f"Redis at {where} has no connection left ({text}): close others, or raise maxclients")
    if isinstance(error, OSError | wrong.ConnectionError | wrong.TimeoutError):
        said = f"Redis at {where} can not be reached ({text}): is it running, and is REDIS_URL right?"
        nameless = where.startswith("rediss://") and "ssl_certfile=" not in where
        if nameless and any(sign in text for sign in _ENDED):
            said += f" Where it wants a certificate of its clients, {_NAME_ONE}"
        return StoreUnavailable(said)
    if isinstance(error, wrong.NoPermissionError) or is_denied(text):
        return StoreUnusable(lacking(text))
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
