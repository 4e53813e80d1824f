"""Holders, keepers and servers of a workspace root are killed: the rest goes on, or is cleared away."""

import fcntl
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from coordinator.embedded import keeper, launch
from coordinator.embedded.server import Server, find, hold
from coordinator.errors import StoreUnusable
from tests.roots import ask, assert_only_data_left, holder, holders, keeper_of, processes, use
from tests.servers import one_of
from tests.waiting import wait_until_sync


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use(one_of(request.node.name), tmp_path, monkeypatch)
    return tmp_path / "root"


def orphan(root: Path) -> Server:
    """A server whose keeper and holders were all killed, so that nobody looks after it."""
    with holder(root) as (process, _):
        server = find(root)
        assert server is not None
        ask(server, "SET", "x", "kept")
        process.send_signal(signal.SIGSTOP)  # it must not replace the keeper before it is killed itself
        keeper_of(server).kill()
        process.kill()
    wait_until_sync(
        lambda: processes(root) == [server.pid] and not launch.is_kept(server.directory), "only the server lives"
    )  # one that dies has no command line any more, and its lock still
    return server


def test_a_killed_holder_holds_no_more(root: Path) -> None:
    with holder(root) as (process, _):
        process.kill()
        process.wait()
        wait_until_sync(lambda: not processes(root), "keeper and server have ended")
    assert_only_data_left(root)


def test_of_two_holders_one_may_be_killed(root: Path) -> None:
    with hold(root) as server, holders(root, 2) as [(victim, _), (_, pid)]:
        victim.kill()
        victim.wait()
        assert find(root) == server
        assert pid == server.pid
    assert_only_data_left(root)


def test_a_killed_server_comes_back_with_its_data_and_addresses(root: Path) -> None:
    with hold(root) as server:
        ask(server, "CONFIG", "SET", "appendfsync", "always")
        ask(server, "SET", "x", "kept")
        psutil.Process(server.pid).kill()

        again = find(root)  # also in the moment between its death and its return

        assert again is not None
        assert again.pid != server.pid
        assert (again.url, again.tcp_url) == (server.url, server.tcp_url)
        wait_until_sync(lambda: ask(again, "GET", "x") == "kept", "the data is loaded")
    assert_only_data_left(root)


def test_a_holder_replaces_a_killed_keeper(root: Path) -> None:
    with hold(root) as server:
        ask(server, "SET", "x", "kept")
        keeper_of(server).kill()
        wait_until_sync(lambda: len(processes(root)) == 2 and server.pid not in processes(root), "both are replaced")
        again = find(root)
        assert again is not None
        assert (again.url, again.tcp_url) == (server.url, server.tcp_url)
        assert ask(again, "GET", "x") == "kept"
    assert_only_data_left(root)


def test_the_last_holder_ends_a_server_whose_keeper_was_killed(root: Path) -> None:
    long = root / ("deep" * 30)  # so that its socket lies outside the data directory
    with hold(long) as server:
        keeper_of(server).kill()
    assert not server.socket.parent.exists()
    assert_only_data_left(long)
    with hold(long) as again:
        assert again.url == server.url
    assert_only_data_left(long)


def test_a_server_left_alone_is_found_and_the_next_holder_replaces_it(root: Path) -> None:
    left = orphan(root)
    assert find(root) == left
    with hold(root) as server:
        assert server.pid != left.pid
        assert len(processes(root)) == 2
        assert (server.url, ask(server, "GET", "x")) == (left.url, "kept")
    assert_only_data_left(root)


def test_several_who_find_a_server_left_alone_get_one_new_server(root: Path) -> None:
    left = orphan(root)
    with holders(root, 4) as found:
        assert len({pid for _, pid in found} - {left.pid}) == 1
        assert len(processes(root)) == 2
    assert_only_data_left(root)


def test_a_server_left_alone_that_hangs_is_killed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "STOP_MAX", 0.3)
    left = orphan(root)
    psutil.Process(left.pid).suspend()
    with hold(root) as server:
        assert processes(root).count(left.pid) == 0
        assert ask(server, "GET", "x") == "kept"
    assert_only_data_left(root)


def test_everything_killed_leaves_nothing_to_find(root: Path) -> None:
    left = orphan(root)
    psutil.Process(left.pid).kill()
    wait_until_sync(lambda: not processes(root), "the server is dead")
    assert left.socket.exists()
    assert find(root) is None
    with hold(root) as server:
        assert server.url == left.url
    assert_only_data_left(root)


def test_a_socket_where_anyone_could_listen_is_not_trusted(root: Path) -> None:
    long = root / ("deep" * 30)
    left = orphan(long)
    left.socket.parent.chmod(0o755)
    assert find(long) is None
    left.socket.parent.chmod(0o700)
    assert find(long) == left
    with hold(long):
        pass
    assert_only_data_left(long)


def test_a_strangers_process_is_not_killed_for_holding_our_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hold(root):
        pass
    monkeypatch.setattr(keeper, "STOP_MAX", 0.1)
    code = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    config = root / ".coordinator" / "redis" / "redis.conf"
    command = [sys.executable, "-c", code, str(config)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout
        stranger.stdout.readline()
        with pytest.raises(StoreUnusable, match="not its server"), hold(root):
            pass
        assert stranger.poll() is None
    assert_only_data_left(root)


def test_who_arrives_while_the_server_is_stopping_gets_a_fresh_one(root: Path) -> None:
    with holder(root) as (process, _), ThreadPoolExecutor() as pool:
        before = find(root)
        assert before is not None
        ask(before, "SET", "x", "kept")
        psutil.Process(before.pid).suspend()  # it can not hear that it should stop
        process.kill()
        wait_until_sync(lambda: is_stopping(before), "the keeper stops it")
        arriving = hold(root)
        arrived = pool.submit(arriving.__enter__)
        psutil.Process(before.pid).resume()
        after = arrived.result(10)
        assert after.pid != before.pid
        assert (after.url, ask(after, "GET", "x")) == (before.url, "kept")
        arriving.__exit__(None, None, None)
    assert_only_data_left(root)


def is_stopping(server: Server) -> bool:
    """Whether its keeper has the directory for itself."""
    directory = os.open(server.directory, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(directory)
