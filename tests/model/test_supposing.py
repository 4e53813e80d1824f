"""What is said to start with another limit is what then starts; and the check would see if it were not."""

import pytest

from tests.model import build
from tests.model.plant import Plant
from tests.model.supposing import try_states
from tests.model.world import World
from tests.servers import REAL, REDIS, Servers

PLANTED = (
    Plant(
        "what_left_stands",
        "An entry that was taken out is read again.",
        "if score and (not fits or fits(member, score)) then",
        "if not fits or fits(member, score or 0) then one.of[member] = score or 0 score = score or 0",
    ),
    Plant(
        "old_limits_hold",
        "The limits are as they are.",
        "{ name = limit_key, now = limit or nil }",
        "{ name = 'none', now = limit or nil }",
    ),
    Plant("few_come", "One host comes, and no other.", "for _ = 1, MOST_CALLS do", "for _ = 1, 1 do"),
    Plant(
        "slots_are_not_counted",
        "What would start holds nothing.",
        "local step = (value and 1 or 0) - (was and 1 or 0)",
        "local step = kind ~= 'set' and (value and 1 or 0) - (was and 1 or 0) or 0",
    ),
    Plant(
        "nobody_is_pushed",
        "Hosts that do not ask get nothing.",
        "if not incarnation or not hosts.lives(host) then",
        "if not incarnation or not hosts.lives(host) or hosts.mode(host) == 'push' then",
    ),
)


@pytest.mark.parametrize("first", range(1, 61, 10))
@pytest.mark.parametrize("server_kind", REAL)
def test_what_would_start_is_what_then_starts(server_kind: str, first: int, servers: Servers) -> None:
    world = World(server_kind, servers, build.text())
    try:
        sums = try_states(world, range(first, first + 10))
    finally:
        world.close()
    assert min(sums.values()) >= 1, f"too few of these states start something: {sums}"


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.name)
def test_a_planted_bug_is_caught(plant: Plant, servers: Servers) -> None:
    world = World(REDIS, servers, build.text(plant=plant))
    try:
        with pytest.raises((AssertionError, ValueError)):
            try_states(world, range(1, 200))
    finally:
        world.close()
