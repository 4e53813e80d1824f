"""What a verb costs the server: its time by the server's own log of calls, and the Redis calls made inside it.

The machine may be busy with others: calls are made in several batches, and the best batch speaks.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.model.world import World

LONGEST_CALL: Final = 5_000  # µs; no call may keep the server from others for longer
#: What the measuring itself asks of the server.
OURS: Final = ("fcall", "info", "config", "slowlog", "ping")


@dataclass
class Spent:
    """Of each call its µs, batch by batch; of all batches the Redis calls made inside functions, and their µs."""

    batches: list[list[int]] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    usec: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    inside: float = 0  # µs of all FCALLs together
    processor: list[float] = field(default_factory=list)  # µs a call of the server's own time, batch by batch

    @property
    def count(self) -> int:
        return sum(len(batch) for batch in self.batches)

    @property
    def median(self) -> float:
        """The best of the medians of the batches."""
        return min(statistics.median(batch) for batch in self.batches)

    @property
    def p99(self) -> float:
        """The best of the 99th percentiles of the batches."""
        return min(sorted(batch)[int(len(batch) * 0.99)] for batch in self.batches)

    @property
    def longest(self) -> int:
        return max(max(batch) for batch in self.batches)

    @property
    def redis_calls(self) -> float:
        """Redis calls inside one call of the verb."""
        return sum(self.calls.values()) / self.count

    def table(self) -> str:
        """What one call spends: on each Redis command, and on Lua itself."""
        lines = [f"    {'command':<18} {'calls':>6} {'us':>7}"]
        for name, usec in sorted(self.usec.items(), key=lambda item: -item[1]):
            lines.append(f"    {name:<18} {self.calls[name] / self.count:>6.2f} {usec / self.count:>7.2f}")
        rest = (self.inside - sum(self.usec.values())) / self.count
        lines.append(f"    {'Lua, and the way':<18} {'':>6} {rest:>7.2f}")
        return "\n".join(lines)


def measure(world: World, verb: str, step: Callable[[], int], rounds: int, batches: int = 5) -> Spent:
    """`step` asks `verb`, and nothing else of the server, and answers how often; it is to be `rounds` in each batch."""
    spent = Spent()
    for _ in range(batches):
        world.redis.config_resetstat()
        logged(world, verb)
        done, began = 0, _processor(world)
        while done < rounds:
            done += step()
        spent.processor.append((_processor(world) - began) / done)
        spent.batches.append(logged(world, verb))
        assert len(spent.batches[-1]) == done, "every call is in the server's log, and nothing else"
        for name, (calls, usec) in _commandstats(world).items():
            if name == "fcall":
                spent.inside += usec
            if name.partition("|")[0] not in OURS:
                spent.calls[name] += calls
                spent.usec[name] += usec
    return spent


def logged(world: World, verb: str = "") -> list[int]:
    """The µs of every call since this was last asked, in order; of this verb, or of all. Empties the log."""
    log: Any = world.redis.slowlog_get(100_000)
    world.redis.slowlog_reset()
    wanted = f"dispatch_{verb}".encode()
    return [entry["duration"] for entry in reversed(log) if _command(entry).startswith(b"FCALL " + wanted)]


def log_every_call(world: World) -> None:
    """Of functions alone: with a threshold of 0 the commands inside are logged too, which takes time of its own."""
    world.redis.config_set("slowlog-log-slower-than", 15)
    world.redis.config_set("slowlog-max-len", 100_000)
    world.redis.slowlog_reset()


def _command(entry: dict[str, Any]) -> bytes:
    command = entry["command"]
    return command if isinstance(command, bytes) else str(command).encode()


def _processor(world: World) -> float:
    """µs of the processor that the server has used: nobody else counts in it."""
    used: Any = world.redis.info("cpu")
    return 1e6 * (float(used["used_cpu_user_main_thread"]) + float(used["used_cpu_sys_main_thread"]))


def _commandstats(world: World) -> dict[str, tuple[int, float]]:
    stats: Any = world.redis.info("commandstats")
    return {name.removeprefix("cmdstat_"): (int(row["calls"]), float(row["usec"])) for name, row in stats.items()}
