"""The two clocks of a host. They are never compared with each other."""

import time

_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_ms() -> int:
    """Milliseconds since this machine started, counting the time it slept: the clock of deadlines."""
    return time.clock_gettime_ns(_BOOT) // 1_000_000


def awake_ms() -> int:
    """Milliseconds on a clock that stands while the machine sleeps: the clock of an agent's own time limit."""
    return time.monotonic_ns() // 1_000_000


def epoch_ms() -> int:
    """Milliseconds since 1970, as people's clocks show it: for records, never for decisions."""
    return time.time_ns() // 1_000_000
