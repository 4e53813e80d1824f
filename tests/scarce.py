"""A process that is short of something, for tests."""

import contextlib
import os
import resource
from collections.abc import Iterator

import psutil


@contextlib.contextmanager
def descriptors(left: int) -> Iterator[None]:
    """This process can open so many more files, and no other, meanwhile. What was started before is not touched."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = [os.open(os.devnull, os.O_RDONLY) for _ in range(left + 1)]
    for each in lowest:
        os.close(each)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest[-1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def limited(process: psutil.Process, kind: int, most: int) -> Iterator[None]:
    """That process may have no more of this kind (`resource.RLIMIT_...`) meanwhile."""
    before = process.rlimit(kind)
    process.rlimit(kind, (most, before[1]))
    try:
        yield
    finally:
        process.rlimit(kind, before)
