"""What faults says of each thing that is wrong, word for word, and what it lets pass, to the edge of a time."""

import pytest

from coordinator import operations as ops
from coordinator.operations.faults import MOST_KEYS, FaultsFound
from tests.model.world import ROOT, START, World
from tests.servers import REDIS
from tests.unit.operations.broken import BEAT, FAR, TTL, busy, by_hand, found, token

pytestmark = pytest.mark.parametrize("server_kind", [REDIS], indirect=True)


@pytest.fixture
def fleet(world: World) -> World:
    return busy(world)


def test_nothing_is_wrong_with_a_fleet_that_nobody_touched(fleet: World) -> None:
    assert found(fleet, *sorted(fleet.keys())) == []


@pytest.mark.parametrize(
    ("commands", "key", "said"),
    [
        ("SADD slots:gemini run", "slots:gemini", "doubled|run|it runs without this key|vacate"),
        ("SADD slots:gemini waits", "slots:gemini", "leaked|waits|it is queued|vacate"),
        ("SADD held:h2 run", "held:h2", "doubled|run|it runs on h1|release"),
        ("SADD held:h2 waits", "held:h2", "leaked|waits|it is queued|release"),
        ("HDEL workspace:run host", "held:h1", "doubled|run|it runs on nobody knows which host|release"),
        (f"ZADD leases {FAR} waits", "leases", "leaked|waits|it is queued|take_out"),
        (f"ZADD later {FAR} waits", "later", "leaked|waits|it is queued, and waits for no time|take_out"),
        ("ZADD status:failed 1 run", "status:failed", "doubled|run|it is running|take_out"),
        ("HSET workspace:odd task t;ZADD status:failed 1 odd", "status:failed",
         "leaked|odd|it is without a status|take_out"),
        ("ZADD status:failed 1 gone", "status:failed", "leaked|gone|there is no record of it|take_out"),
        ("ZADD lane:gemini~gemini 1 run", "lane:gemini gemini", "leaked|run|it is running|leave"),
        ("ZADD lane:gemini~gemini 1 waits", "lane:gemini gemini", "doubled|waits|it waits in another lane|leave"),
        ("ZREM lane:codex~codex waits;ZADD lane:gemini~gemini 1 waits", "lane:gemini gemini",
         "leaked|waits|it waits in another lane|leave"),
        ("HSET lanes:codex gemini~gemini x", "lanes:codex", "leaked||gemini gemini is of another route|take_out"),
        ("HSET lanes:gemini gemini~gone x", "lanes:gemini", "leaked||nothing waits in gemini gone|leave"),
        ("ZADD ready:codex 1 codex~codex", "ready:codex", "doubled||codex codex stands elsewhere|displace"),
        ("ZREM blocked:codex:codex codex~codex;ZADD ready:codex 1 codex~codex", "ready:codex",
         "leaked||codex codex stands elsewhere|displace"),
        ("ZADD ready:codex 1 codex~gone", "ready:codex", "leaked||codex gone stands nowhere|displace"),
        ("ZADD ready:gemini 1 @codex", "ready:gemini", "leaked||@codex marks a group that is not there|mark"),
        ("ZADD blocked 0 gemini", "blocked", "leaked||gemini has no groups|take_out"),
        ("SADD groups:codex gemini", "groups:codex", "leaked||nothing of gemini is blocked|mark"),
        ("ZREM blocked codex", "groups:codex", "orphaned||codex is not among the blocked|group"),
        ("HSET limits codex 2", "groups:codex", "orphaned||codex admits, and codex is not told|open"),
        ("ZADD hosts 1 h8", "hosts", "leaked||there is no host h8|take_out"),
        ("SADD serves:h8 codex", "serves:h8", "leaked||there is no host h8|take_out"),
    ],
)  # fmt: skip
def test_an_entry_is_named_with_what_is_wrong_of_it(fleet: World, commands: str, key: str, said: str) -> None:
    by_hand(fleet, *commands.split(";"))
    klass, name, text, mend = said.split("|")
    whose = {"workspace": name} if name else {}
    assert found(fleet, key) == [{"class": klass, "key": key, "text": text, "mend": mend, **whose}]


@pytest.mark.parametrize(
    ("commands", "key", "said"),
    [
        ("HDEL workspace:run host", "workspace:run", "workspace:run|run|it runs, and the record names no host|"),
        ("ZREM leases run", "workspace:run", "leases|run|it runs without a lease|lend"),
        ("SREM slots:codex run", "workspace:run", "slots:codex|run|it runs and does not hold its slot|occupy"),
        ("SREM held:h1 run", "workspace:run", "held:h1|run|it runs there|hold"),
        ("ZREM status:running run", "workspace:run", "status:running|run|it is running, and not listed|list"),
        ("HDEL workspace:waits lane", "workspace:waits",
         "workspace:waits|waits|it waits, and the record names no lane|"),
        ("ZREM lane:codex~codex waits", "workspace:waits",
         "lane:codex codex|waits|it waits and stands in no lane|wait"),
        (f"HSET workspace:waits deadline {FAR}", "workspace:waits", "later|waits|its deadline is not kept|wait"),
        ("HSET workspace:waits status odd", "workspace:waits",
         "workspace:waits|waits|the record has no status that is known|"),
        ("HSET workspace:odd task t", "workspace:odd", "workspace:odd|odd|the record has no status that is known|"),
        ("ZREM blocked:codex:codex codex~codex", "lane:codex codex",
         "lane:codex codex||this lane stands nowhere|stand"),
        ("SREM groups:codex codex", "blocked:codex:codex",
         "blocked:codex:codex||this group is not known to its key|group"),
        ("ZREM hosts h1", "host:h1", "host:h1||this host is not listed|register"),
    ],
)  # fmt: skip
def test_what_its_own_place_does_not_know_is_named_there(fleet: World, commands: str, key: str, said: str) -> None:
    by_hand(fleet, *commands.split(";"))
    where, name, text, mend = said.split("|")
    more = ({"workspace": name} if name else {}) | ({"mend": mend} if mend else {})
    assert found(fleet, key) == [{"class": "orphaned", "key": where, "text": text, **more}]


@pytest.mark.parametrize(
    ("command", "key"),
    [
        ("ZADD lane:~ 1 waits", "lane: "),
        ("ZADD blocked:codex 1 codex~codex", "blocked:codex"),
        ("ZADD leases 1 run", "blocked:gemini:gemini"),
        ("ZADD leases 1 run", "host:h8"),
        ("ZADD leases 1 run", "lane:gemini gone"),
        ("ZADD leases 1 run", "workspace:gone"),
    ],
)
def test_a_name_that_is_no_key_of_a_fleet_and_one_that_is_not_there_have_no_fault_of_their_own(
    fleet: World, command: str, key: str
) -> None:
    by_hand(fleet, command)
    assert [one for one in found(fleet, key) if one["class"] == "orphaned"] == []


@pytest.mark.parametrize(
    ("later", "passed", "wrong"),
    [
        (START + 50, 49, False),  # it waits for its time, as `later` has it
        (START + 50, 50, False),  # its time is now: the next call that looks at the clock puts it into its lane
        (START + 50, 51, False),
        (FAR, 49, False),  # moved by hand to a later time: when its own comes it is looked for
        (FAR, 50, True),
        (FAR, 51, True),
    ],
)
def test_one_that_waits_for_a_time_stands_in_no_lane_until_that_time_is_over(
    world: World, later: int, passed: int, wrong: bool
) -> None:
    world.ask(ops.Submit(workspace="a", agent="codex", not_before=START + 50))
    by_hand(world, f"ZADD later {later} a")
    world.set_clock(START + passed)
    texts = [one["text"] for one in found(world, "workspace:a", "later")]
    assert texts == ["it waits and stands in no lane"] * wrong


@pytest.mark.parametrize(
    ("more", "asleep"),
    [
        ("", True),
        (f"ZADD timers {START + 1} gemini", True),  # it does not fire yet
        (f"ZADD timers {START} codex", False),  # the next call opens it
        ("SET opening x", False),  # a walk over the keys is under way, and may come to it
    ],
)
def test_a_key_that_admits_unseen_is_let_be_while_something_due_may_open_it(
    fleet: World, more: str, asleep: bool
) -> None:
    by_hand(fleet, "HSET limits codex 2", *([more] if more else []))
    assert [one["mend"] for one in found(fleet, "groups:codex")] == ["open"] * asleep


@pytest.mark.parametrize(("passed", "mend"), [(TTL - 1, None), (TTL, "vacate"), (TTL + 1, "vacate")])
def test_what_has_no_record_is_mended_from_the_moment_on_at_which_its_lease_ends(
    fleet: World, passed: int, mend: str | None
) -> None:
    by_hand(fleet, "DEL workspace:run")
    fleet.set_clock(START + passed)
    (one,) = found(fleet, "slots:codex")
    until = None if mend else START + TTL
    assert (one["class"], one["workspace"], one.get("mend"), one.get("until")) == ("leaked", "run", mend, until)


@pytest.mark.parametrize(("passed", "named"), [(2 * BEAT, False), (2 * BEAT + 1, True)])
def test_a_run_is_named_when_its_host_has_beaten_without_it_for_longer_than_two_beats(
    fleet: World, passed: int, named: bool
) -> None:
    fleet.set_clock(START + passed)
    fleet.ask(ops.Renew(host="h1", incarnation="i"))
    text = "its host does not tell of it any more: it is lost when its lease is over"
    one = {"class": "orphaned", "key": "held:h1", "workspace": "run", "text": text, "until": START + TTL}
    assert found(fleet, "workspace:run") == [one] * named


@pytest.mark.parametrize("is_confirmed", [True, False])
def test_a_run_of_a_push_host_is_missed_only_when_somebody_has_confirmed_it(world: World, is_confirmed: bool) -> None:
    world.ask(ops.Renew(host="p1", incarnation="i", pools=["shell"], slots=1, mode="push"))
    world.ask(ops.Submit(workspace="a", agent="shell"))
    if is_confirmed:
        world.ask(ops.Confirm(workspace="a", token=token(world, "a")))
    world.set_clock(START + 3 * BEAT)
    world.ask(ops.Renew(host="p1", incarnation="i", pools=["shell"], slots=1, mode="push"))
    assert [one["key"] for one in found(world, "workspace:a")] == ["held:p1"] * is_confirmed


def parts(world: World, *keys: str) -> list[FaultsFound]:
    """Every part of a look at these keys."""
    told = [world.ask(ops.Faults(keys=list(keys)))]
    while told[-1].cursor is not None:
        told.append(world.ask(ops.Faults(keys=list(keys), cursor=told[-1].cursor)))
    return told


def test_as_many_keys_as_may_be_asked_for_and_nothing_in_them_are_looked_at_in_one_part(world: World) -> None:
    assert [part.found for part in parts(world, *(f"slots:k{at}" for at in range(MOST_KEYS)))] == [()]


def test_a_part_has_some_two_hundred_entries_at_most_however_few_each_key_has(world: World) -> None:
    keys = [f"slots:k{at}" for at in range(MOST_KEYS)]
    for key in keys:
        world.redis.sadd(f"{ROOT}:{key}", "ghost-1", "ghost-2")
    told = parts(world, *keys)
    assert max(len(part.found) for part in told) <= 200
    named = [(one.key, one.workspace) for part in told for one in part.found]
    assert sorted(named) == sorted((key, f"ghost-{at}") for key in keys for at in (1, 2))
