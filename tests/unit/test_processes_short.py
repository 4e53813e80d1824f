"""Without a descriptor to look with nobody is taken for dead, for gone, or for another."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.scarce import descriptors
from tests.waiting import wait_until_sync
from workers import families, processes
from workers.processes import Identity, Process
from workers.run import Ended

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a look needs no descriptor")
MARKER = f"DISPATCH_RUN=/short/{os.getpid()}.run"  # of this test process: all of the machine is looked at
Family = Callable[[], list[Process]]
FAMILIES: dict[str, Callable[[int], Family]] = {
    "below": lambda root: lambda: families.below(root),
    "marked": lambda _: lambda: families.marked(MARKER),
    "tree": lambda _: lambda: families.tree(MARKER),
}


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """It has one child, and both carry the mark."""
    environment = dict([MARKER.split("=", 1)]) | {"PATH": os.environ["PATH"]}
    with subprocess.Popen(["sh", "-c", "sleep 60 & wait"], env=environment, start_new_session=True) as parent:
        wait_until_sync(lambda: len(families.marked(MARKER)) == 2, "its child is there")
        yield parent
        for each in families.marked(MARKER):
            os.kill(each.pid, signal.SIGKILL)


def _identity(process: subprocess.Popen[bytes]) -> Identity:
    seen = processes.look(process.pid)
    assert seen
    return seen.identity


def test_who_can_not_be_looked_at_is_not_dead(parent: subprocess.Popen[bytes]) -> None:
    living = _identity(parent)
    earlier = Identity(living.pid, living.birth - 1)
    with descriptors(0):
        with pytest.raises(OSError, match="Too many open files"):
            processes.look(living.pid)
        assert processes.alive(living)
        assert processes.alive(earlier)
    assert processes.alive(living)
    assert not processes.alive(earlier)


@pytest.mark.parametrize("left", [0, 1])  # with one there is a descriptor of the process, and none to look at it
def test_who_can_not_be_looked_at_gets_no_signal(parent: subprocess.Popen[bytes], left: int) -> None:
    living = _identity(parent)
    with descriptors(left), pytest.raises(OSError, match="Too many open files"):
        processes.send(Identity(living.pid, living.birth - 1), signal.SIGKILL)
    assert processes.alive(living)


@pytest.mark.parametrize("left", [0, 1])
@pytest.mark.parametrize("kind", FAMILIES)
def test_a_family_that_can_not_be_looked_at_is_not_gone(parent: subprocess.Popen[bytes], kind: str, left: int) -> None:
    family = FAMILIES[kind](parent.pid)
    with ThreadPoolExecutor(1) as thread:
        with descriptors(left):
            ending = thread.submit(processes.end_family, family, parent.poll)
            with pytest.raises(TimeoutError):
                ending.result(0.3)
        receipt: tuple[Ended, ...] = ending.result(20)
    assert [each.by for each in receipt] == ["KILL"] * (1 if kind == "below" else 2)
    assert family() == []


def test_a_family_is_stilled_once_it_can_be_looked_at(parent: subprocess.Popen[bytes]) -> None:
    family = FAMILIES["tree"](0)
    with ThreadPoolExecutor(1) as thread:
        with descriptors(1):
            stilling = thread.submit(processes.still, family)
            with pytest.raises(TimeoutError):
                stilling.result(0.3)
        stilling.result(20)
    assert [each.state for each in family()] == ["stopped", "stopped"]
    with descriptors(1):
        assert not processes.resume(family)
    assert processes.resume(family)
    assert [each.state for each in family()] == ["moving", "moving"]
