"""Pace: the delay since a pool's last start, judged at the moment of asking, and the quota between two resets."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator import operations as ops
from coordinator.operations.apply import Rates
from tests.model.pace_model import DAY, Pace
from tests.model.ramp_model import wait
from tests.model.world import START, World
from tests.servers import FAKE

#: The day of the table; its resets are at 06:00 unless a case names another time.
MIDNIGHT = round(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000)
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
GEMINI: dict[str, Any] = {"sustained": 120, "burst": 30, "least": 0, "window": 3}
ONLY_SUSTAINED: dict[str, Any] = {"sustained": 300, "burst": 60, "least": 0, "window": 0}
FLOORED: dict[str, Any] = {"sustained": 30, "burst": 5, "least": 90, "window": 2}
SLOW_BURST: dict[str, Any] = {"sustained": 60, "burst": 450, "least": 0, "window": 1}
FREE_BURST: dict[str, Any] = {"sustained": 600, "burst": 0, "least": 0, "window": 3}
ALWAYS_BURST: dict[str, Any] = {"sustained": 600, "burst": 10, "least": 0, "window": 24}
UNPACED: dict[str, Any] = {"sustained": 0, "burst": 30, "least": 60, "window": 3}


def at(text: str) -> int:
    """`05:59:59.999`, with `-1d ` or `+1d ` before it for the day before or after."""
    day, _, clock = text.rpartition("d ")
    hours, minutes, seconds = clock.split(":")
    return MIDNIGHT + int(day or 0) * DAY + int(hours) * HOUR + int(minutes) * MINUTE + round(float(seconds) * SECOND)


#: rates (seconds, window in hours), the reset, the last start, the moment of asking, the earliest start from then on
CASES = [
    # far from the reset: sustained
    (GEMINI, "06:00", "12:00:00", "12:00:00", "12:02:00"),
    (GEMINI, "06:00", "12:00:00", "12:01:59.999", "12:02:00"),
    (GEMINI, "06:00", "12:00:00", "12:02:00", "12:02:00"),
    (GEMINI, "06:00", "12:00:00", "20:00:00", "20:00:00"),
    # into the burst: at 03:00:00 three hours are left, at 02:59:59 more than three
    (GEMINI, "06:00", "02:00:00", "02:59:59", "02:59:59"),
    (GEMINI, "06:00", "02:59:00", "02:59:10", "03:00:00"),
    (GEMINI, "06:00", "02:59:00", "02:59:59.999", "03:00:00"),
    (GEMINI, "06:00", "02:59:00", "03:00:00", "03:00:00"),
    (GEMINI, "06:00", "02:59:30", "02:59:40", "03:00:00"),
    (GEMINI, "06:00", "02:59:31", "02:59:40", "03:00:01"),
    (GEMINI, "06:00", "02:59:59", "02:59:59.500", "03:00:29"),
    (GEMINI, "06:00", "02:58:00", "02:59:59", "03:00:00"),
    # in the burst
    (GEMINI, "06:00", "04:00:00", "04:00:00", "04:00:30"),
    (GEMINI, "06:00", "04:00:00", "04:00:29.999", "04:00:30"),
    (GEMINI, "06:00", "04:00:00", "04:00:30", "04:00:30"),
    # out of it: at the reset a whole day is left, so the longer delay counts again, from the last start
    (GEMINI, "06:00", "05:59:00", "05:59:29", "05:59:30"),
    (GEMINI, "06:00", "05:59:00", "05:59:59.999", "05:59:59.999"),
    (GEMINI, "06:00", "05:59:00", "06:00:00", "06:01:00"),
    (GEMINI, "06:00", "05:59:29", "05:59:29", "05:59:59"),
    (GEMINI, "06:00", "05:59:30", "05:59:30", "06:01:30"),
    (GEMINI, "06:00", "05:59:45", "05:59:50", "06:01:45"),
    (GEMINI, "06:00", "05:58:00", "06:00:00", "06:00:00"),
    (GEMINI, "06:00", "06:00:00", "06:00:00", "06:02:00"),
    # no window: never a burst
    (ONLY_SUSTAINED, "00:00", "-1d 23:58:00", "-1d 23:59:00", "00:03:00"),
    (ONLY_SUSTAINED, "00:00", "00:00:00", "00:00:01", "00:05:00"),
    # min_delay is the least of both
    (FLOORED, "06:00", "12:00:00", "12:00:31", "12:01:30"),
    (FLOORED, "06:00", "12:00:00", "12:01:30", "12:01:30"),
    (FLOORED, "06:00", "05:00:00", "05:00:06", "05:01:30"),
    (FLOORED, "06:00", "05:59:00", "05:59:50", "06:00:30"),
    # a burst slower than the rest of the day
    (SLOW_BURST, "06:00", "04:58:59", "04:59:00", "04:59:59"),
    (SLOW_BURST, "06:00", "04:59:00", "04:59:30", "05:06:30"),
    (SLOW_BURST, "06:00", "04:59:00", "04:59:59.999", "05:06:30"),
    (SLOW_BURST, "06:00", "05:57:00", "05:58:00", "06:00:00"),
    (SLOW_BURST, "06:00", "05:59:30", "05:59:40", "06:00:30"),
    # a burst without a delay
    (FREE_BURST, "06:00", "02:59:59", "02:59:59.500", "03:00:00"),
    (FREE_BURST, "06:00", "03:00:00", "03:00:00", "03:00:00"),
    (FREE_BURST, "06:00", "05:59:59.999", "05:59:59.999", "05:59:59.999"),
    (FREE_BURST, "06:00", "05:59:59", "06:00:00", "06:09:59"),
    # a window of a whole day: always a burst, also right at the reset
    (ALWAYS_BURST, "06:00", "05:59:55", "06:00:00", "06:00:05"),
    (ALWAYS_BURST, "06:00", "06:00:00", "06:00:00", "06:00:10"),
    # no sustained delay: no pace, whatever else is set
    (UNPACED, "06:00", "12:00:00", "12:00:00", "12:00:00"),
    (UNPACED, "06:00", "04:00:00", "04:00:01", "04:00:01"),
    # over midnight, and resets as they are written
    (GEMINI, "00:30", "-1d 23:59:40", "-1d 23:59:50", "00:00:10"),
    (GEMINI, "00:30", "00:29:50", "00:29:55", "00:31:50"),
    (GEMINI, "", "05:59:50", "05:59:55", "06:01:50"),
    (GEMINI, "6", "05:59:50", "05:59:55", "06:01:50"),
    (GEMINI, "xx:30", "06:29:50", "06:29:55", "06:31:50"),
    (GEMINI, " 7 : 15 ", "07:14:50", "07:14:55", "07:16:50"),
    (GEMINI, "25:00", "00:59:50", "00:59:55", "01:01:50"),
    (GEMINI, "06:75", "07:14:50", "07:14:55", "07:16:50"),
    (GEMINI, "-1:00", "22:59:50", "22:59:55", "23:01:50"),
]


class Asker:
    """Starts one of the pool when told to, through alternating doors: a claim, and an asker's own question."""

    def __init__(self, world: World) -> None:
        self.world, self.number = world, 0

    def start(self) -> Any:
        """A grant, or the refusal."""
        self.number += 1
        name = f"w{self.number}"
        if self.number % 2:
            answer = self.world.ask(ops.Submit(workspace=name, agent="gemini:pro", asker="svc", otherwise="refuse"))
            return answer.grant if answer.outcome == "granted" else answer.refusal  # type: ignore[union-attr]
        self.world.ask(ops.Submit(workspace=name, agent="gemini"))
        claimed = self.world.ask(ops.Claim(host="h1", incarnation="i", seq=self.number, count=1))
        if claimed.grants:
            return claimed.grants[0]
        no = self.world.ask(ops.Explain(workspace=name)).refusal
        self.world.ask(ops.Cancel(workspace=name))
        return no


def rates_of(case: dict[str, Any], reset: str) -> Rates:
    return Rates(
        reset_utc=reset, min_delay=case["least"] * SECOND, sustained_delay=case["sustained"] * SECOND,
        burst_delay=case["burst"] * SECOND, burst_window=case["window"] * HOUR,
    )  # fmt: skip


@pytest.mark.reference(64, 65, 66, 67, 68, 69, 70, 71)
def test_the_delay_since_the_last_start_is_that_of_the_moment_of_asking(world: World) -> None:
    asker, wrong = Asker(world), []
    assert len(CASES) >= 40
    for rates, reset, last, now, wanted in CASES:
        world.ask(ops.Apply(rates={"gemini": Rates()}))
        world.redis.hdel("{model}:control", "starts:gemini")
        world.ask(ops.Apply(rates={"gemini": rates_of(rates, reset)}))
        world.set_clock(at(last))
        assert asker.start().token  # the first of an idle pool waits for nothing
        world.set_clock(at(now))
        found = asker.start()
        earliest = at(now) if hasattr(found, "token") else found.until
        if earliest != at(wanted) or (not hasattr(found, "token") and found.reason != "pace"):
            wrong.append((rates, reset, last, now, wanted, found))
    assert wrong == []


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rates=st.builds(
        Rates,
        reset_utc=st.times().map(lambda time: f"{time:%H:%M}"),
        min_delay=st.integers(0, 200) | st.integers(0, 10**8),
        sustained_delay=st.integers(0, 500) | st.integers(0, 10**8),
        burst_window=st.integers(0, 300) | st.integers(0, 2 * DAY),
        burst_delay=st.integers(0, 500) | st.integers(0, 10**8),
    ),
    last=st.integers(-200, 200),
    later=st.integers(0, 400) | st.integers(0, 10**8),
    edge=st.sampled_from(["reset", "burst"]),
)
@pytest.mark.parametrize("server_kind", [FAKE], indirect=True)
def test_the_rule_agrees_with_its_truth_around_every_edge(
    world: World, rates: Rates, last: int, later: int, edge: str
) -> None:
    pace = Pace()
    pace.take(rates)
    reset = pace.reset_before(MIDNIGHT)
    last += reset if edge == "reset" else reset - pace.window
    world.ask(ops.Apply(rates={"gemini": rates}))
    world.redis.hset("{model}:control", "starts:gemini", f"{last} 0 0")
    pace.last = last
    world.set_clock(last + later)
    answer: Any = world.ask(ops.Submit(workspace="w", agent="gemini", asker="x", otherwise="refuse", again=True))
    told = None if answer.outcome == "granted" else (answer.refusal.reason, answer.refusal.until)
    world.ask(ops.Complete(workspace="w", status="completed"))
    assert told == pace.refuses(last + later)


@pytest.mark.reference("W30")
def test_the_quota_counts_from_reset_to_reset(world: World) -> None:
    asker = Asker(world)
    world.ask(ops.Apply(rates={"gemini": Rates(reset_utc="06:00", daily_limit=2)}))
    world.set_clock(at("23:00:00"))
    assert asker.start().token
    world.set_clock(at("1d 01:00:00"))  # after midnight it is still the same window
    assert asker.start().token
    no = asker.start()
    assert (no.reason, no.used, no.limit, no.until) == ("quota", 2, 2, at("1d 06:00:00"))
    assert no.text == "gemini has started 2 of 2 until the reset in 5h00m"
    world.set_clock(at("1d 05:59:59.999"))
    assert asker.start().reason == "quota"
    world.set_clock(at("1d 06:00:00"))
    assert asker.start().reason == "ramp"
    world.set_clock(at("1d 06:00:02"))
    assert asker.start().token
    assert asker.start().reason == "ramp"
    world.set_clock(at("1d 06:01:04"))
    assert asker.start().token
    no = asker.start()
    assert (no.reason, no.until) == ("quota", at("2d 06:00:00"))


@pytest.mark.reference("W2", "W3", "W4")
def test_every_start_counts_whoever_made_it_and_nothing_else_is_held_up(world: World) -> None:
    asker = Asker(world)
    world.ask(ops.Apply(rates={"gemini": rates_of(GEMINI, "06:00")}))
    world.set_clock(at("12:00:00"))
    assert asker.start().token
    world.load()  # a new library, as after a restart: the last start is in the keys
    world.ask(ops.Renew(host="h1", incarnation="i", pools=["gemini"], slots=1000))
    no = asker.start()
    assert (no.key, no.reason, no.until, no.text) == (
        "gemini", "pace", at("12:02:00"), "gemini starts one at a time: the next in 2m00s",
    )  # fmt: skip
    assert world.redis.hgetall("{model}:next_start") == {"gemini": str(at("12:02:00"))}
    other = world.ask(ops.Submit(workspace="o", agent="codex", asker="svc", otherwise="refuse"))
    assert other.outcome == "granted"


def test_a_changed_rate_is_felt_at_once(world: World) -> None:
    world.ask(ops.Apply(rates={"gemini": rates_of(GEMINI, "06:00")}))
    world.set_clock(at("12:00:00"))
    world.listen("h1")
    for name in ("a", "b"):
        world.ask(ops.Submit(workspace=name, agent="gemini"))
    claimed = world.ask(ops.Claim(host="h1", incarnation="i", seq=1))
    assert ([one.workspace for one in claimed.grants], claimed.retry_in) == (["a"], 120_000)
    world.set_clock(at("12:00:10"))
    world.ask(ops.Apply(rates={"gemini": Rates(sustained_delay=10_000)}))
    assert world.heard() == ["h1"]
    assert [one.workspace for one in world.ask(ops.Claim(host="h1", incarnation="i", seq=2)).grants] == ["b"]


@pytest.mark.reference(69, 70, "W3", "W4")
def test_a_start_counts_for_rates_that_come_after_it(world: World) -> None:
    asker = Asker(world)
    world.set_clock(at("12:00:00"))
    assert asker.start().token  # nothing paces it yet
    world.ask(ops.Apply(rates={"gemini": Rates(sustained_delay=MINUTE, daily_limit=2)}))
    world.set_clock(at("12:00:01"))
    assert asker.start().until == at("12:01:00")
    world.ask(ops.Apply(rates={}))
    assert asker.start().token
    world.ask(ops.Apply(rates={"gemini": Rates(sustained_delay=MINUTE, daily_limit=2)}))
    no = asker.start()
    assert (no.reason, no.used, no.until) == ("quota", 2, at("1d 06:00:00"))


@pytest.mark.reference("W30")
def test_another_time_of_the_reset_forgives_no_start(world: World) -> None:
    asker = Asker(world)
    world.ask(ops.Apply(rates={"gemini": Rates(reset_utc="06:00", daily_limit=1)}))
    world.set_clock(at("12:00:00"))
    assert asker.start().token
    for reset, opens in (("11:00", "1d 11:00:00"), ("13:00", "13:00:00"), ("00:00", "1d 00:00:00")):
        world.ask(ops.Apply(rates={"gemini": Rates(reset_utc=reset, daily_limit=1)}))
        no = asker.start()
        assert (no.reason, no.used, no.until) == ("quota", 1, at(opens))
    world.set_clock(at("12:30:00"))
    world.ask(ops.Apply(rates={"gemini": Rates(reset_utc="12:15", daily_limit=1)}))
    assert asker.start().token  # a reset lies between


@pytest.mark.reference(65)
@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 400])
def test_a_reset_of_more_digits_than_a_number_has_is_no_number(world: World, number: str) -> None:
    asker = Asker(world)
    world.ask(ops.Apply(rates={"gemini": Rates(reset_utc=f"{number}:00", daily_limit=1)}))
    world.set_clock(at("12:00:00"))
    assert asker.start().token
    assert asker.start().until == at("1d 06:00:00")


def test_a_delay_beyond_all_numbers_is_told_as_the_last_of_them(world: World) -> None:
    asker = Asker(world)
    world.ask(ops.Apply(rates={"gemini": Rates(sustained_delay=10**14 - 1)}))
    world.set_clock(at("12:00:00"))
    assert asker.start().token
    assert asker.start().until == 10**14 - 1
    assert [one.until for one in world.ask(ops.GetStatus()).keys if one.key == "gemini"] == [10**14 - 1]


@pytest.mark.reference(72, "W4")
def test_a_start_at_the_moment_a_gate_opens_leaves_nothing_asleep(world: World) -> None:
    world.ask(ops.Apply(rates={"gemini": Rates(daily_limit=5)}))
    world.ask(ops.BackOff(key="gemini", duration=5000))
    world.ask(ops.Submit(workspace="waits", agent="gemini"))
    world.listen("h1")
    world.ask(ops.Claim(host="h1", incarnation="i", seq=1))
    opens = START + 5000 + wait("gemini", START + 5000, 1)
    world.set_clock(opens)
    asked = world.ask(ops.Submit(workspace="asked", agent="gemini", asker="svc", otherwise="refuse"))
    assert asked.outcome == "granted"
    assert world.heard() == []  # it goes first
    world.set_clock(opens + MINUTE + wait("gemini", START + 5000, 2))
    world.ask(ops.Reap())
    assert world.heard() == ["h1"]
    assert [one.workspace for one in world.ask(ops.Claim(host="h1", incarnation="i", seq=2)).grants] == ["waits"]
