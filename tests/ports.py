"""Ports for servers of tests."""

import contextlib
import random
import socket
from typing import Final

_CHANCE: Final = random.SystemRandom()  # the usual one is seeded alike in every test process, before every test
_BELOW_THE_SYSTEMS: Final = (15_000, 30_000)  # it gives none of these to a connection of somebody else's


def free_port() -> int:
    """One that nobody listens on, and that stays free until the server has it."""
    while True:
        port = _CHANCE.randrange(*_BELOW_THE_SYSTEMS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
