"""Every kind of test server runs function libraries, and comes to each test empty."""

import subprocess
from pathlib import Path

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from tests.leftovers import end, leftovers
from tests.servers import REAL, REDIS, Servers, program
from tests.waiting import wait_until, wait_until_sync

LIBRARY = """#!lua name=probe
redis.register_function('probe', function(keys, args)
  redis.call('SET', keys[1], args[1])
  return cjson.encode({key = keys[1], told = cjson.decode(args[1]).told})
end)
"""


@pytest.mark.parametrize("turn", [1, 2])
async def test_a_function_library_is_loaded_and_called_on_an_empty_server(raw: AsyncRedis, turn: int) -> None:
    assert await raw.dbsize() == 0
    assert await raw.function_load(LIBRARY) == "probe"  # refused when the other turn left it behind

    answer = await raw.fcall("probe", 1, "{dispatch}:x", '{"told":7}')

    assert answer in ('{"key":"{dispatch}:x","told":7}', '{"told":7,"key":"{dispatch}:x"}')
    assert await raw.get("{dispatch}:x") == '{"told":7}'


@pytest.mark.parametrize("server_kind", REAL, indirect=True)
async def test_a_url_and_the_client_lead_to_the_same_real_server(
    raw: AsyncRedis, server_url: str, server_kind: str
) -> None:
    with Redis.from_url(server_url) as other:
        other.set("{dispatch}:x", "seen")
        assert ("valkey_version" in other.info("server")) == (server_kind == "valkey")
    assert await raw.get("{dispatch}:x") == "seen"


async def test_messages_travel_on_every_server(raw: AsyncRedis) -> None:
    heard: list[object] = []

    async def hear() -> bool:
        heard.append(await listener.get_message(ignore_subscribe_messages=True, timeout=0.01))
        return heard[-1] is not None

    async with raw.pubsub() as listener:
        await listener.subscribe("{dispatch}:bus")
        await listener.get_message(timeout=5)
        await raw.publish("{dispatch}:bus", "hello")
        await wait_until(hear, "the message is heard")


def test_an_absent_redis_is_a_skip_and_where_all_servers_are_required_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("DISPATCH_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="not on PATH"):
        program(REDIS)
    monkeypatch.setenv("DISPATCH_REQUIRE_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="asks for every server"):
        program(REDIS)


def test_a_process_that_outlives_its_test_is_found_also_when_it_is_nobodys_child(
    tmp_path: Path, servers: Servers
) -> None:
    orphan = subprocess.run(["sh", "-c", "sleep 60 >&- 2>&- & echo $!"], capture_output=True, text=True, check=True)
    elsewhere = subprocess.Popen(["sleep", "60"], cwd=tmp_path, env={})

    found = leftovers(tmp_path, servers.pids)
    assert {process.pid for process in found} >= {int(orphan.stdout), elsewhere.pid}

    assert f"{elsewhere.pid} sleep 60" in list(end(found))
    assert elsewhere.wait() == -9
    wait_until_sync(lambda: leftovers(tmp_path, servers.pids) == [], "both are gone")
