"""A store on an empty server, for the tests of single verbs."""

from collections.abc import Iterator

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.operations import Renew, Thaw
from coordinator.store import Store
from tests.model import build
from tests.model.world import START, World
from tests.servers import Servers
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


@pytest.fixture
def world(server_kind: str, servers: Servers) -> Iterator[World]:
    """A thawed namespace whose clock is a key, and a host of many slots for two pools."""
    world = World(server_kind, servers, build.text())
    world.set_clock(START)
    world.ask(Thaw())
    world.ask(Renew(host="h1", incarnation="i", pools=["codex", "gemini"], slots=1000))
    yield world
    world.close()
