"""What a configuration would change, found without asking, is what `apply` then answers; after that it is nothing."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.doors.in_force import changes, limits_of
from coordinator.models import Change
from coordinator.operations import Apply, Freeze, GetStatus, Limit
from coordinator.operations.apply import FleetSettings, Rates
from tests.model import build
from tests.model.world import START, World
from tests.servers import FAKE, VALKEY, Servers
from tests.unit.operations.asking import Fleet

KEYS = st.sampled_from(["*", "codex", "codex:big", "repo:*", "repo:core/web"])
COUNTS = st.none() | st.integers(0, 10**14 - 1)
RATES = st.builds(Rates, reset_utc=st.sampled_from([None, "06:00", "00:30"]), daily_limit=COUNTS, min_delay=COUNTS)
SETTINGS = st.builds(
    FleetSettings,
    lease_ttl=st.sampled_from([None, 300_000, 400_000]),
    max_attempts=st.sampled_from([None, 3, 5]),
    history=st.sampled_from([None, 100, 2_592_000_000]),
)
APPLIES = st.builds(
    Apply,
    limits=st.none() | st.dictionaries(KEYS, st.integers(0, 10**14 - 1)),
    rates=st.none() | st.dictionaries(st.sampled_from(["codex", "claude", "gemini"]), RATES),
    settings=st.none() | SETTINGS,
    default_agent=st.sampled_from([None, "codex", "claude"]),
)


@pytest.fixture(params=[FAKE, VALKEY])
def world(request: pytest.FixtureRequest, servers: Servers) -> Iterator[World]:
    made = World(request.param, servers, build.text())
    yield made
    made.close()


def by_path(found: tuple[Change, ...] | list[Change]) -> list[Change]:
    return sorted(found, key=lambda one: one.path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(APPLIES, min_size=1, max_size=4))
def test_a_difference_is_what_apply_answers_and_nothing_is_left_of_it(world: World, asked: list[Apply]) -> None:
    world.clear()
    world.set_clock(START)
    world.ask(Freeze(key="repo:core/web"))
    for one in asked:
        expected = changes(world.ask(GetStatus()), one)
        assert by_path(expected) == by_path(world.ask(one).changes)
        assert changes(world.ask(GetStatus()), one) == []
        assert world.ask(one).changes == ()


async def test_a_limit_of_all_repositories_is_not_one_of_each_key_it_stands_for(fleet: Fleet) -> None:
    await fleet.store.run(Limit(key="repo:*", limit=2))
    await fleet.store.run(Freeze(key="repo:core/web"))
    status = await fleet.store.run(GetStatus())
    assert limits_of(status) == {"repo:*": 2}
    (web,) = [view for view in status.keys if view.key == "repo:core/web"]
    assert (web.limit, web.inherited) == (2, True)
    await fleet.store.run(Limit(key="repo:core/web", limit=2))
    assert limits_of(await fleet.store.run(GetStatus())) == {"repo:*": 2, "repo:core/web": 2}
