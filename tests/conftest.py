"""What every test may ask for: servers, a client, and a check that no process stays behind."""

import os
import signal
from collections.abc import AsyncIterator, Iterator

import psutil
import pytest
from hypothesis import settings
from redis.asyncio import Redis as AsyncRedis

from tests import leftovers, seeds
from tests.servers import ALL, FAKE, REAL, Servers, connect, one_of
from tests.waiting import wait_until_sync

settings.register_profile("dispatch", deadline=None)  # speed is for benchmarks: a busy machine fails no test
settings.load_profile("dispatch")
WITH_PROCESSES = {"faults", "integration"}
LONGEST = {"test_storm.py", "test_laws.py", "test_damaged_keys.py", "test_compose.py"}


def pytest_configure() -> None:
    leftovers.mark()
    seeds.depend_on_nothing_else()
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # started in the background: children would ignore it too
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)  # where tests run without xdist nobody knows it
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait for a lease to end, or for a process."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest begin first, whatever the order of the others: else all wait for one at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with `server_kind` runs on every kind of server; one that also wants a URL, on the real ones.

    One of processes runs on one of these, unless it chooses.
    """
    chosen = {name for marker in metafunc.definition.iter_markers("parametrize") for name in marker.args[:1]}
    if "server_kind" in metafunc.fixturenames and "server_kind" not in chosen:
        kinds: tuple[str, ...] = REAL if "server_url" in metafunc.fixturenames else ALL
        if kinds == REAL and WITH_PROCESSES & set(metafunc.definition.path.parts):
            kinds = (one_of(metafunc.definition.name),)
        metafunc.parametrize("server_kind", kinds, indirect=True)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The real servers of this test process."""
    servers = Servers()
    yield servers
    servers.stop()


@pytest.fixture
def server_kind(request: pytest.FixtureRequest) -> str:
    """`fake`, `valkey` or `redis`; a test may choose with `parametrize("server_kind", [...], indirect=True)`."""
    return str(request.param)


@pytest.fixture
def server_url(server_kind: str, servers: Servers) -> str:
    """The URL of an empty real server."""
    return servers.fresh_url(server_kind)


@pytest.fixture
async def raw(server_kind: str, servers: Servers) -> AsyncIterator[AsyncRedis]:
    """A client, in the test's own loop, of an empty server: the one of `server_url`, when the test asks for both."""
    client = connect(server_kind, "" if server_kind == FAKE else servers.fresh_url(server_kind))
    async with client:
        yield client


@pytest.fixture(autouse=True)
def no_process_left(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """After a test of faults/ or integration/ none of its processes lives; those just ending get two seconds."""
    yield
    if request.path.parent.name not in WITH_PROCESSES:
        return
    left: list[psutil.Process] = []

    def none_left() -> bool:
        left[:] = leftovers.leftovers(tmp_path_factory.getbasetemp(), servers.pids)
        return not left

    try:
        wait_until_sync(none_left, "every process of the test has ended", deadline=2.0)
    except AssertionError:
        pytest.fail("left behind: " + "; ".join(leftovers.end(left)))
