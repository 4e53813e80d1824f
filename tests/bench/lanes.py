"""Many lanes on one key: how many a call looks at, how long the longest call takes, and what is left when all is done.

`python -m tests.bench.lanes [REPEATS]`: every scene is played alike several times (its clock is a key), so each call
has a twin in each repeat. `longest` is the longest of the calls by their best twin, `pause` the longest call of the
best repeat: it has the collector of Lua in it, and whoever else uses the machine. `lanes` is the most that one call
named in its Redis calls, as the server's monitor shows them. No call shall take 5 ms.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from coordinator.models import Grant
from coordinator.operations import Apply, Claim, Complete, Freeze, Limit, Reap, Renew, Submit, Thaw
from coordinator.operations._operation import Operation
from coordinator.operations.apply import FleetSettings
from coordinator.operations.claim import Asking
from tests.bench.spending import LONGEST_CALL, log_every_call, logged
from tests.model import build
from tests.model.world import START, World
from tests.servers import REDIS, Servers

DAY: Final = 86_400_000
KEY: Final = "repo:r"
NAMED: Final = re.compile(r"\bk(\d+)\b")  # each lane names a key of its own: so a command says which lane it looks at
#: What grows with what has run, in an idle namespace too.
HISTORY: Final = re.compile(r"(workspace|status):|(fence|place|due)$")


@dataclass
class Part:
    """Calls that one line of the table speaks of: their µs, in order, and the lanes each of them looked at."""

    usec: list[int] = field(default_factory=list)
    lanes: list[int] = field(default_factory=list)


class Scene:
    """One host and its runs; every call belongs to a part."""

    def __init__(self, world: World, slots: int, *, watched: bool) -> None:
        self.world, self.slots, self.seq, self.now = world, slots, 0, START
        self.held: list[Grant] = []
        self.parts: dict[str, Part] = {}
        self._monitor: Any = world.redis.monitor().__enter__() if watched else None  # type: ignore[no-untyped-call]
        world.set_clock(self.now)
        self.quietly(Apply(limits={}, settings=FleetSettings(beat=DAY * 30, lease_ttl=DAY * 100)))
        self.quietly(Thaw())
        self.quietly(Renew(host="h", incarnation="i", pools=["codex"], slots=slots))

    def quietly(self, operation: Operation[Any]) -> Any:
        self.now += 10
        self.world.set_clock(self.now)
        return self.world.ask(operation)

    def ask(self, part: str, operation: Operation[Any]) -> Any:
        """Asked, and put down under this part."""
        self._seen()
        logged(self.world)
        answer = self.quietly(operation)
        row = self.parts.setdefault(part, Part())
        row.usec += logged(self.world)
        row.lanes.append(self._seen())
        return answer

    def _seen(self) -> int:
        """How many lanes the commands inside functions named since this was last asked."""
        if self._monitor is None:
            return 0
        self.world.redis.echo("so far")
        seen: set[str] = set()
        while not (entry := self._monitor.next_command())["command"].startswith("ECHO so far"):
            if entry["client_type"] == "lua":
                seen.update(NAMED.findall(entry["command"]))
        return len(seen)

    def apply(self, part: str, limits: dict[str, int]) -> None:
        """To its end."""
        while self.ask(part, Apply(limits=limits)).more:
            pass

    def close(self) -> None:
        if self._monitor is not None:
            self._monitor.__exit__(None, None, None)

    def lanes(self, first: int, most: int) -> None:
        """Each with one workspace, a key of its own, and the repo of all."""
        for number in range(first, most):
            self.quietly(Submit(workspace=f"r/t{number}", agent="codex", repo="r", keys=[f"k{number}"]))

    def _asking(self) -> dict[str, Any]:
        self.seq += 1
        return {"host": "h", "incarnation": "i", "seq": self.seq, "count": self.slots - len(self.held)}

    def claim(self, part: str, *, until_granted: bool = False) -> None:
        """Claim, and go on while there is more."""
        more = True
        while more and len(self.held) < self.slots and not (until_granted and self.held):
            answer = self.ask(part, Claim(**self._asking()))
            self.held += answer.grants
            more = answer.more

    def drain(self, part: str, most: int | None = None) -> int:
        """End the oldest run, claiming in the same call, until nothing runs. Answers how many ended."""
        ended = 0
        while self.held and ended != most:
            run = self.held.pop(0)
            asking = Asking(**self._asking())
            answer = self.ask(
                part, Complete(workspace=run.workspace, token=run.token, status="completed", claim=asking)
            )
            assert answer.status == "completed", answer
            self.held += answer.grants
            ended += 1
            if answer.more:
                self.claim(f"{part}: more")
        return ended


def one_at_a_time(scene: Scene, lanes: int = 1000) -> None:
    scene.quietly(Limit(key=KEY, limit=1))
    scene.lanes(0, lanes)
    scene.claim("the first claim")
    assert scene.drain("release and claim") == lanes


def freezes(scene: Scene, lanes: int = 1000) -> None:
    scene.quietly(Limit(key=KEY, limit=1))
    scene.lanes(0, lanes)
    scene.claim("the first claim")
    for key in (KEY, "*"):
        scene.ask("freeze", Freeze(key=key))
        scene.drain("release while frozen", 1)
        scene.ask("thaw", Thaw(key=key))
        scene.claim("claim after the thaw")
    scene.drain("release and claim")


def limit_removed(scene: Scene, lanes: int = 10_000) -> None:
    scene.quietly(Limit(key=KEY, limit=0))
    scene.lanes(0, lanes)
    scene.claim("claim in vain")
    scene.ask("limit removed", Limit(key=KEY, clear=True))
    scene.claim("claim")
    assert scene.drain("release and claim") == lanes


def default_removed(scene: Scene, repos: int = 1000) -> None:
    scene.quietly(Limit(key="repo:*", limit=0))
    for number in range(repos):
        scene.quietly(Submit(workspace=f"r/t{number}", agent="codex", repo=f"k{number}"))
    scene.claim("claim in vain")
    scene.ask("repo:* removed", Limit(key="repo:*", clear=True))
    scene.claim("claim", until_granted=True)
    assert scene.drain("release and claim") == repos


def refused_twice(scene: Scene, lanes: int = 1000) -> None:
    scene.apply("apply: 1,001 limits", {KEY: 0, **{f"k{number}": 0 for number in range(lanes)}})
    scene.lanes(0, lanes)
    scene.lanes(lanes, lanes + 1)  # the last: nothing but the first key refuses it
    scene.ask("the first opens", Limit(key=KEY, clear=True))
    scene.claim("claim until one starts", until_granted=True)
    scene.drain("release and claim")
    scene.apply("apply: 1,000 limits go", {})
    scene.claim("claim")
    assert scene.drain("release and claim") == lanes


def applied(scene: Scene, limits: int = 1000, lanes: int = 10_000) -> None:
    """Every limit of a file changes, while lanes wait for one of them each."""
    keys = [f"team:t{number}" for number in range(limits)]
    scene.apply("apply: 1,000 limits", {KEY: 0} | dict.fromkeys(keys, 0))
    for number in range(lanes):
        scene.quietly(Submit(workspace=f"r/t{number}", agent="codex", keys=[keys[number % limits], f"k{number}"]))
    scene.claim("claim in vain")
    scene.apply("apply: 1,000 raised", {KEY: 0} | dict.fromkeys(keys, 2))
    scene.claim("claim", until_granted=True)
    scene.apply("apply: 1,000 lowered", {KEY: 0} | dict.fromkeys(keys, 1))
    scene.apply("apply: none changed", {KEY: 0} | dict.fromkeys(keys, 1))
    assert scene.drain("release and claim") == lanes


SCENES: Final[dict[str, tuple[Callable[[Scene], None], int]]] = {
    "1,000 lanes on a key of limit 1": (one_at_a_time, 10),
    "1,000 lanes, frozen and thawed": (freezes, 10),
    "10,000 lanes on a limit that is removed, 10 slots": (limit_removed, 10),
    "10,000 lanes on a limit that is removed, 1,000 slots": (limit_removed, 1000),
    "1,000 repos on a default that is removed": (default_removed, 10),
    "1,000 lanes refused by a second key each": (refused_twice, 10),
    "10,000 lanes on 1,000 limits that are applied": (applied, 10),
}


def sizes(world: World) -> dict[str, int]:
    """Every key that is not history, and how much is in it."""
    found = {name: 1 if isinstance(value, str) else len(value) for name, value in world.keys().items()}
    return {name: size for name, size in found.items() if not HISTORY.match(name)}


def left_behind(scene: Scene, idle: dict[str, int]) -> list[str]:
    """What an idle namespace does not have, or has less of."""
    while scene.quietly(Reap()).more:
        pass
    here = sizes(scene.world)
    return [f"{name}: {size}" for name, size in sorted(here.items()) if size > idle.get(name, 0)]


def idle_namespace(world: World) -> dict[str, int]:
    """One lane had its turn, and all is done."""
    scene = Scene(world, 10, watched=False)
    scene.quietly(Limit(key=KEY, limit=1))
    scene.lanes(0, 1)
    scene.claim("claim")
    scene.drain("release")
    scene.quietly(Reap())
    return sizes(world)


def play(servers: Servers, name: str, *, watched: bool, idle: dict[str, int]) -> dict[str, Part]:
    """The parts of one scene; a watched one also says what it leaves behind."""
    rule, slots = SCENES[name]
    world = World(REDIS, servers, build.text())
    log_every_call(world)
    scene = Scene(world, slots, watched=watched)
    try:
        rule(scene)
        if watched:
            at_once = left_behind(scene, idle)
            scene.now += DAY
            later = left_behind(scene, idle)
            print(f"  left behind: at once {_brief(at_once)}, after a day {_brief(later)}")
    finally:
        scene.close()
        world.close()
    return scene.parts


def _brief(found: list[str]) -> str:
    return f"{len(found)} keys ({', '.join(found[:4])}{' …' if len(found) > 4 else ''})" if found else "nothing"


def rows(repeats: list[dict[str, Part]], watched: dict[str, Part]) -> Iterator[str]:
    for part, seen in watched.items():
        twins = [repeat[part].usec for repeat in repeats]
        best = sorted(min(each) for each in zip(*twins, strict=True))
        pause = min(max(calls) for calls in twins)
        mark = "  > 5 ms" if best[-1] > LONGEST_CALL else ""
        yield (
            f"  {part:<28} {len(best):>6} {best[len(best) // 2] / 1000:>9.2f} {best[-1] / 1000:>9.2f}"
            f" {pause / 1000:>9.2f} {max(seen.lanes):>6}{mark}"
        )


def main(repeats: int) -> None:
    servers = Servers()
    try:
        world = World(REDIS, servers, build.text())
        idle = idle_namespace(world)
        world.close()
        for name in SCENES:
            print(f"{name}\n  {'calls':<28} {'number':>6} {'median ms':>9} {'longest':>9} {'pause':>9} {'lanes':>6}")
            parts = [play(servers, name, watched=False, idle=idle) for _ in range(repeats)]
            watched = play(servers, name, watched=True, idle=idle)
            print("\n".join(rows(parts, watched)))
    finally:
        servers.stop()


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["3"])[0]))
