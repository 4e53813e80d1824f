"""Keys broken at random in fleets of the model, then mended: every law about who stands where holds again."""

import random
from functools import partial
from typing import Any

import pytest

from coordinator.doors.keys import in_order
from coordinator.operations import Faults, Mend
from coordinator.operations.faults import Fault
from tests.model import build, laws
from tests.model.machine import FleetMachine
from tests.model.running import search
from tests.model.view import View
from tests.model.world import ROOT, START, World
from tests.servers import FAKE, REDIS, Servers

#: Families that follow from the records.
BROKEN = ("slots:", "held:", "leases", "status:", "lane:", "lanes:", "ready:", "blocked", "groups:", "later")
HOLD_AGAIN = (
    laws.slots_are_exact,
    laws.each_workspace_is_in_one_place,
    laws.an_admitting_key_is_marked_on_every_route,
    laws.nothing_is_left_behind,
)


def walk(world: World, verb: type[Faults] | type[Mend]) -> list[Fault]:
    found: list[Fault] = []
    names = in_order(ROOT, world.keys())
    for at in range(0, len(names), 64):
        cursor = None
        while True:
            asked: Any = verb(keys=names[at : at + 64], cursor=cursor)
            told = world.ask(asked)
            if told.outcome == "refused":
                return []
            found += told.found
            cursor = told.cursor
            if cursor is None:
                break
    return found


def break_one(world: World, chance: random.Random) -> str:
    """A key is deleted, a member taken out of one, or one added that stands elsewhere; says what was done."""
    keys = {name: value for name, value in world.keys().items() if name.startswith(BROKEN)}
    if not keys:
        return ""
    name = chance.choice(sorted(keys))
    family, is_hash, is_set = name.partition(":")[0], name.startswith("lanes:"), isinstance(keys[name], set)
    key, what = f"{ROOT}:{name}", chance.choice(["delete", "remove", "remove", "add", "add"])
    if what == "delete":
        world.redis.delete(key)
        return f"deleted {name}"
    if what == "remove":
        member = chance.choice(sorted(keys[name]))
        (world.redis.hdel if is_hash else world.redis.srem if is_set else world.redis.zrem)(key, member)
        return f"removed {member} from {name}"
    if family in ("lanes", "ready", "blocked", "groups"):
        member = chance.choice(sorted({one for other in keys if other.startswith(family) for one in keys[other]}))
    else:
        member = chance.choice([one[10:] for one in sorted(world.keys()) if one.startswith("workspace:")] + ["ghost"])
    if is_hash:
        world.redis.hset(key, member, chance.choice(["", "codex", "claude"]))
    elif is_set:
        world.redis.sadd(key, member)
    else:
        world.redis.zadd(key, {member: chance.choice([1, START, 5 * 10**13])})
    return f"added {member} to {name}"


def stands_where_it_says(now: View) -> None:
    """Each lane is in the one place that `lanes` names, each group and mark is of something."""
    found: dict[str, list[str | None]] = {}
    for route, entries in now.ready.items():
        for entry in entries:
            if entry.startswith("@"):
                assert now.blocked(entry[1:], route), f"{entry} marks nothing on {route}"
            else:
                found.setdefault(entry, []).append(f"{route}|")
    for key, routes in now.groups.items():
        for route in routes:
            assert now.blocked(key, route), f"an empty group of {key} on {route}"
            for lane in now.blocked(key, route):
                found.setdefault(lane, []).append(f"{route}|{key}")
    assert set(now.groups) == set(now.keys.get("blocked", {}))
    said = {lane: f"{route}|{key}" for route, lanes in now.where.items() for lane, key in lanes.items()}
    assert found == {lane: [said.get(lane)] for lane in now.lanes}
    assert set(said) == set(now.lanes)


class Broken(FleetMachine):
    """At the end of an example some keys are broken, and mended until nothing more is."""

    rounds = 0

    def teardown(self) -> None:
        if hasattr(self, "fleet"):
            try:
                if self.fleet.sound:
                    self._settle_down()
                    for _ in range(3):
                        self._break_and_mend(random.Random(Broken.rounds))
            finally:
                self.world.close()

    def _break_and_mend(self, chance: random.Random) -> None:
        Broken.rounds += 1
        did = [break_one(self.world, chance) for _ in range(chance.choice([1, 1, 2, 4]))]
        for _ in range(5):
            left = walk(self.world, Mend)
            if not any(one.mended for one in left):
                break
        else:
            raise AssertionError(f"{did}: there is always more to mend")
        if self.fleet.truth.settling > self.fleet.truth.now or any(one.until and one.klass == "leaked" for one in left):
            return  # it is not to be mended yet
        now = View(self.world.keys())
        moment = laws.Moment(now, now, self.fleet.truth, self.world.listening, [])
        for law in HOLD_AGAIN:
            law(moment)
        stands_where_it_says(now)
        assert all(one.until for one in walk(self.world, Faults)), did


@pytest.mark.parametrize(("kind", "examples"), [(FAKE, 12), (REDIS, 6)])
def test_whatever_was_broken_by_hand_the_laws_hold_after_a_mend(servers: Servers, kind: str, examples: int) -> None:
    Broken.open_world = staticmethod(partial(_world, kind, servers))
    Broken.rounds = 0
    search(Broken, examples, 30, 11, shrink=False)
    assert Broken.rounds >= 2 * examples


def _world(kind: str, servers: Servers, tight: bool) -> World:
    return World(kind, servers, build.text(tight=tight), tight=tight)
