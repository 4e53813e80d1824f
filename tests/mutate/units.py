"""The unit tests of the verbs, collected once: each mutant is tried in a fork of the process that waits with them.

A test is named with the statements that it runs, so a mutant meets only those that can feel it.
"""

import gc
import os
import pickle
import select
import signal
import tempfile
import time
from collections.abc import Iterable
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import redis.exceptions
from hypothesis import Phase, settings
from redis import Redis

from coordinator import library
from tests import conftest
from tests.model.world import ROOT
from tests.mutate import texts
from tests.mutate.overheard import Asked, Ear
from tests.servers import REDIS, Servers, die_with_parent
from tests.unit.operations import test_damaged_keys

TOP: Final = Path(__file__).parent.parent.parent
_WHERE: Final = ("tests/unit/operations", *(f"tests/model/test_{name}.py" for name in ("found", "bounds", "supposing")))
NEVER_ENDS: Final = "never ends"
LONGEST: Final = 30.0  # seconds for one test


class Ran(NamedTuple):
    """What one test cost, which statements it ran, and what it asked."""

    seconds: float
    ran: int  # one bit for each mark, see texts.bits
    asked: list[Asked]


class Kept(Servers):
    """The servers of the waiting process, for every fork of it."""

    one = Servers()

    def url(self, kind: str) -> str:
        return Kept.one.url(kind)


class Units:
    """The process that waits with the tests."""

    def __init__(self) -> None:
        self._here, there = Pipe()
        self._process = Process(target=_wait_with_tests, args=(there,))
        self._process.start()
        there.close()

    def cover(self) -> dict[str, Ran]:
        """Runs every test once on the library that counts."""
        self._here.send(("cover", "", ()))
        told: dict[str, Ran] = self._here.recv()
        return told

    def catch(self, text: str, tests: Iterable[str]) -> str | None:
        """The first of these tests that fails on this library."""
        self._here.send(("catch", text, tuple(tests)))
        caught: str | None = self._here.recv()
        return caught

    def stop(self) -> None:
        self._here.send(None)
        self._process.join()


def _wait_with_tests(there: "Connection[Any, Any]") -> None:
    die_with_parent()
    os.chdir(TOP)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    vars(conftest)["Servers"] = Kept
    test_damaged_keys.ONE_IN[REDIS] = 1  # here nobody asks the others of Valkey
    settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate))  # that it fails is enough
    settings.load_profile("mutants")
    options = "-q --assert=plain -W ignore -p no:randomly -p no:cacheprovider -p no:xdist -o addopts=".split()  # noqa: SIM905
    try:
        pytest.main([*options, *_WHERE], plugins=[_Loop(there)])
    finally:
        Kept.one.stop()


class _Loop:
    """Instead of running what was collected: wait for a library, fork, and run some of it there."""

    def __init__(self, there: "Connection[Any, Any]") -> None:
        self._there, self._failed = there, -1
        self._wrong: set[str] = set()  # what fails on the library as it is catches nothing

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items if _on_one_server(item)}
        Kept.one.url(REDIS)
        gc.freeze()
        while asked := self._there.recv():
            what, text, tests = asked
            if what == "cover":
                self._there.send(self._cover(items))
            else:
                self._there.send(self._catch([items[test] for test in tests], text))
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._wrong.add(report.nodeid)
        if report.failed and self._failed >= 0:
            os.write(self._failed, report.nodeid.encode())
            os._exit(0)

    def _catch(self, items: list[pytest.Item], text: str) -> str | None:
        ends, self._failed = os.pipe()
        if not (child := os.fork()):
            die_with_parent()
            library.TEXT = text
            for item in items:
                os.write(self._failed, b".")  # the next test begins
                _run([item])
            os._exit(0)
        os.close(self._failed)
        self._failed = -1
        caught = _told(ends)
        os.close(ends)
        if caught == NEVER_ENDS:
            os.kill(child, signal.SIGKILL)
            _begin_anew()
        os.waitpid(child, 0)
        if caught:  # a test that failed has put nothing back
            try:
                with Redis.from_url(Kept.one.url(REDIS)) as client:
                    client.config_set("maxmemory", 0)
            except redis.exceptions.RedisError:  # its call has not ended yet, and never may
                _begin_anew()
        return caught or None

    def _cover(self, items: dict[str, pytest.Item]) -> dict[str, Ran]:
        with tempfile.NamedTemporaryFile("rb") as file:
            if not (child := os.fork()):
                library.TEXT = texts.counting()
                told = _measured(items)
                Path(file.name).write_bytes(
                    pickle.dumps({test: told[test] for test in told if test not in self._wrong})
                )
                os._exit(0)
            os.waitpid(child, 0)
            found: dict[str, Ran] = pickle.load(file)
            return found


def _begin_anew() -> None:
    Kept.one.stop()
    Kept.one = Servers()
    Kept.one.url(REDIS)


def _told(ends: int) -> str:
    """The test that failed, if any did; each has a while to end."""
    while select.select([ends], [], [], LONGEST)[0]:
        told = os.read(ends, 4096)
        if not told.strip(b".") and told:
            continue  # another test has begun
        return told.lstrip(b".").decode()
    return NEVER_ENDS


def _measured(items: dict[str, pytest.Item]) -> dict[str, Ran]:
    found = {}
    ear = Ear()
    with Redis.from_url(Kept.one.url(REDIS), decode_responses=True) as client:
        for test, item in items.items():
            client.function_flush("SYNC")
            ear.heard()
            begun = time.monotonic()
            _run([item])
            took = time.monotonic() - begun
            asked = ear.heard()
            try:
                found[test] = Ran(took, texts.bits(client.fcall(texts.HITS, 1, ROOT)), asked)
            except redis.exceptions.ResponseError:
                found[test] = Ran(took, 0, asked)  # it loads no library
    return found


def _run(items: list[pytest.Item]) -> None:
    for item, following in zip(items, [*items[1:], None], strict=False):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


def _on_one_server(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is None or callspec.params.get("server_kind", REDIS) == REDIS
