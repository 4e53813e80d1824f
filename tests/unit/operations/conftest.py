"""A store on an empty server, for the tests of single verbs."""

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.operations import Thaw
from coordinator.store import Store
from tests.unit.operations.asking import Fleet


@pytest.fixture
def store(raw: AsyncRedis) -> Store:
    """A new namespace, still frozen and without a library; the client is closed by `raw`."""
    return Store(raw, "{t}")


@pytest.fixture
async def fleet(store: Store, raw: AsyncRedis) -> Fleet:
    """A thawed namespace without limits and hosts."""
    await store.run(Thaw())
    return Fleet(store, raw)
