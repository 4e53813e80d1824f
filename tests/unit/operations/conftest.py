"""A store on an empty server, for the tests of single verbs."""

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.store import Store


@pytest.fixture
def store(raw: AsyncRedis) -> Store:
    """A new namespace, still frozen and without a library; the client is closed by `raw`."""
    return Store(raw, "{t}")
