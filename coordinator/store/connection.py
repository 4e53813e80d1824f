"""From REDIS_URL to a client, with every time-out set by us."""

from typing import Any, Final

import redis.asyncio as redis_client

from coordinator.store.patience import Patience
from coordinator.store.sentinels import by_sentinel

ANSWER_WITHIN: Final = 5.0  # seconds; no call blocks longer at the server (see Store.read_events)
CONNECT_WITHIN: Final = 3.0


def connect(url: str) -> "redis_client.Redis":
    """A client for `url`; nothing is sent yet. Lost connections are tried again with jitter, about two seconds long."""
    options: dict[str, Any] = {
        "socket_timeout": ANSWER_WITHIN,
        "socket_connect_timeout": CONNECT_WITHIN,
        "socket_keepalive": True,
        "client_name": "dispatch-coordinator",
        "retry": Patience(),
    }
    if url.startswith("redis+sentinel://"):
        return by_sentinel(url, options)
    if url.startswith("unix://"):
        del options["socket_keepalive"]
    return redis_client.Redis.from_url(url, **options)
