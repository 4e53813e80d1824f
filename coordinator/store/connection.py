"""From REDIS_URL to a client, with every time-out set by us."""

from typing import Any, Final
from urllib.parse import unquote, urlsplit

import redis.asyncio as redis_client
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialWithJitterBackoff

ANSWER_WITHIN: Final = 5.0  # seconds; no call blocks longer at the server (see Store.read_events)
CONNECT_WITHIN: Final = 3.0


def connect(url: str) -> "redis_client.Redis":
    """A client for `url`; nothing is sent yet. Lost connections are tried again with jitter, about two seconds long."""
    options: dict[str, Any] = {
        "socket_timeout": ANSWER_WITHIN,
        "socket_connect_timeout": CONNECT_WITHIN,
        "socket_keepalive": True,
        "client_name": "dispatch-coordinator",
        "retry": Retry(ExponentialWithJitterBackoff(cap=1.0, base=0.05), 4),
    }
    if url.startswith("redis+sentinel://"):
        return _by_sentinel(url, options)
    if url.startswith("unix://"):
        del options["socket_keepalive"]
    return redis_client.Redis.from_url(url, **options)


def _by_sentinel(url: str, options: dict[str, Any]) -> "redis_client.Redis":
    """`redis+sentinel://[user:password@]h1:26379,h2:26379/master/0`: the login is the data server's."""
    login, _, servers = urlsplit(url).netloc.rpartition("@")
    user, _, password = login.partition(":")
    master, _, database = urlsplit(url).path.removeprefix("/").partition("/")
    sentinels = [(host, int(port)) for host, _, port in (server.rpartition(":") for server in servers.split(","))]
    if password:
        options |= {"username": unquote(user) or None, "password": unquote(password)}
    sentinel = Sentinel(sentinels, sentinel_kwargs={"socket_timeout": CONNECT_WITHIN})  # type: ignore[no-untyped-call]
    client: redis_client.Redis = sentinel.master_for(master, db=int(database or 0), **options)
    return client
