"""`redis+sentinel://` in every door, over sentinels that are dead, mute, or know of nothing."""

import asyncio
import shlex
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.errors import StoreUnavailable
from coordinator.operations import GetStatus
from coordinator.store import Store
from tests import mcp
from tests.cli import Cli
from tests.ports import free_port
from tests.sentinels import Watched


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path / "servers", 1) as watched:
        yield watched


async def asked(url: str) -> None:
    """One call on a connection of its own; nobody waits seconds for it."""
    async with Store.connect(url, "{t}") as store, asyncio.timeout(2.5):
        await store.run(GetStatus())


async def test_a_sentinel_that_is_dead_or_mute_holds_nobody_up(watched: Watched) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        await asked(Watched.url_of(free_port(), mute.getsockname()[1], *watched.sentinels))


async def test_an_address_of_ipv6_stands_in_brackets(watched: Watched) -> None:
    await asked(f"redis+sentinel://[::1]:{watched.sentinels[0]}/main")


async def test_what_no_sentinel_knows_is_told_with_what_each_says(watched: Watched) -> None:
    dead = free_port()
    url = Watched.url_of(dead, *watched.sentinels).replace("/main/", "/other/")
    async with Store.connect(url, "{t}") as store:
        with pytest.raises(StoreUnavailable) as caught:
            await store.run(GetStatus())
    assert "no sentinel names a primary: " in str(caught.value)
    assert f"127.0.0.1:{watched.sentinels[0]}: No such master with that name" in str(caught.value)
    assert f"127.0.0.1:{dead}: Error 111" in str(caught.value)


async def test_no_connection_to_a_sentinel_stays(watched: Watched) -> None:
    """Also of those that are not waited for, since another was faster (an unclosed one fails a test as it is found)."""
    for _ in range(30):
        await asked(Watched.url_of(*watched.sentinels * 8))
    command = ["redis-cli", "-p", str(watched.sentinels[0]), "CLIENT", "LIST", "TYPE", "normal"]
    listed = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text=True)
    assert [line for line in listed.stdout.splitlines() if "cmd=sentinel" in line] == []


def test_every_door_finds_the_primary(watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(watched.url, tmp_path, monkeypatch)
    cli("start")
    cli("dispatch", "a/1", "--agent", "codex", "--task", "x")
    status = cli.json("status")
    assert status["queued"] == 1
    assert "is a read-only replica" not in cli("doctor").output
    told = subprocess.run(shlex.split(status["redis_cli"]), check=True, capture_output=True, text=True).stdout
    assert told.split() == ["127.0.0.1", str(watched.primary)]
    with mcp.Client() as client:
        client.begin()
        assert client.told("status")[1]["queued"] == 1
