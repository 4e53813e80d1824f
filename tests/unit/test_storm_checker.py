"""The checker of a storm finds each way in which the promises can be broken, in records that were made up."""

import pytest

from tests.faults.storm import checker
from tests.faults.storm.checker import Ending
from tests.faults.storm.ledger import InForce, Ledger
from tests.marks import Mark

A, B, C = "core/a/t1", "core/a/t2", "core/b/t3"


def ledger_of(**limits: int) -> Ledger:
    ledger = Ledger(submitted=dict.fromkeys((A, B, C), ("codex", "plain 1")))
    for key, limit in limits.items():
        ledger.may_hold(key, limit, since=0)
    return ledger


def record(*lines: str, agent: str = "codex:m") -> list[Mark]:
    """`a 1 start 0.2`: what a run of a workspace under a token said, and when in seconds."""
    names = {"a": A, "b": B, "c": C}
    words = [line.split() for line in lines]
    return [Mark(what, token, names[name], agent, int(float(s) * 10**9)) for name, token, what, s in words]


BOTH = record("a 10 start 0", "b 20 start 0.1", "a 10 beat 0.2", "b 20 beat 0.3", "a 10 end 0.4", "b 20 end 0.5")
APART = record("a 10 start 0", "a 10 end 0.2", "b 20 start 0.3", "b 20 end 0.5")


@pytest.mark.parametrize("key", ["*", "codex", "codex:m", "repo:core/a", "repo:*", "org:core"])
def test_two_at_once_under_a_limit_of_one(key: str) -> None:
    ledger = Ledger(submitted=ledger_of().submitted)
    ledger.may_hold(key, 1, since=0)
    [said] = checker.broken(BOTH, [], ledger)
    assert said.startswith("over a limit: 2 acted at once under ")
    assert checker.broken(APART, [], ledger) == []


def test_as_many_as_allowed_or_under_other_keys() -> None:
    assert checker.broken(BOTH, [], ledger_of(codex=2)) == []
    assert checker.broken(BOTH, [], ledger_of(claude=1)) == []
    own = ledger_of(**{"repo:*": 1, "repo:core/a": 2})
    assert checker.broken(BOTH, [], own) == []


def test_a_lowered_limit_is_for_those_that_are_granted_later() -> None:
    ledger = ledger_of()
    ledger.limits["codex"] = [InForce(2, 0, 25), InForce(1, 22)]
    assert checker.broken(BOTH, [], ledger) == []
    later = record("a 10 start 0", "b 30 start 0.1", "a 10 beat 0.2", "b 30 end 0.3")
    assert len(checker.broken(later, [], ledger)) == 1


def test_a_raised_limit_counts_from_when_it_was_asked_for() -> None:
    ledger = ledger_of()
    ledger.limits["codex"] = [InForce(1, 0, 21), InForce(2, 15)]
    assert checker.broken(BOTH, [], ledger) == []
    ledger.limits["codex"] = [InForce(1, 0, 41), InForce(2, 35)]
    assert len(checker.broken(BOTH, [], ledger)) == 1


def test_a_stopped_agent_does_not_act_until_it_goes_on() -> None:
    ledger = ledger_of(codex=1)
    stopped = record("a 10 start 0", "b 20 start 3", "b 20 end 5")
    assert checker.broken(stopped, [], ledger) == []
    goes_on = record("a 10 start 0", "b 20 start 3", "b 20 beat 4", "a 10 beat 4.1", "b 20 end 5")
    assert len(checker.broken(goes_on, [], ledger)) == 1


def test_what_is_left_of_a_run_after_its_end_acts() -> None:
    left = record("a 10 start 0", "a 10 end 0.2", "b 20 start 0.3", "a 10 beat 0.4", "b 20 end 0.5")
    assert len(checker.broken(left, [], ledger_of(codex=1))) == 1


def test_three_of_which_the_middle_one_was_too_many() -> None:
    three = record("a 10 start 0", "b 20 start 0.1", "c 30 start 0.2", "a 10 end 0.3", "b 20 end 0.4", "c 30 end 0.5")
    assert len(checker.broken(three, [], ledger_of(codex=2))) == 1
    assert checker.broken(three, [], ledger_of(codex=3)) == []


def test_an_older_attempt_acts_when_a_newer_one_has_begun() -> None:
    twice = record("a 10 start 0", "a 20 start 0.1", "a 10 beat 0.2", "a 20 end 0.3")
    assert checker.broken(twice, [], ledger_of()) == [f"two at once: {A} beat of 10 after 20 began"]
    assert checker.broken(record("a 10 start 0", "a 20 start 3", "a 20 end 3.2"), [], ledger_of()) == []


def test_an_older_attempt_begins_after_a_newer_one() -> None:
    back = record("a 20 start 0", "a 20 end 0.1", "a 10 start 3", "a 10 end 3.1")
    assert checker.broken(back, [], ledger_of()) == [f"two at once: {A} start of 10 after 20 began"]


def test_a_token_is_started_twice() -> None:
    twice = record("a 10 start 0", "a 10 start 0.1", "a 10 end 0.2")
    assert checker.broken(twice, [], ledger_of()) == [f"started twice: {A} under token 10"]


def test_what_was_killed_or_has_ended_comes_back() -> None:
    killed, ended = ledger_of(), ledger_of()
    killed.killed[B] = 15
    assert checker.broken(APART, [], killed) == [f"came back: {B} was killed at 15 and was started as 20"]
    ending = [Ending(B, 15)]
    assert checker.broken(APART, ending, ended) == [f"came back: {B} had ended at 15 and was started as 20"]
    killed.again[B] = ended.again[B] = [17]
    assert checker.broken(APART, [], killed) == []
    assert checker.broken(APART, ending, ended) == []
    assert checker.broken(APART, [Ending(A, 15), Ending(B, 25)], ledger_of()) == []


def test_asked_for_once_more_before_it_had_ended_is_no_reason() -> None:
    ledger = ledger_of()
    ledger.again[B] = [5]
    assert len(checker.broken(APART, [Ending(B, 15)], ledger)) == 1


def test_an_ending_that_is_counted_twice() -> None:
    ledger = ledger_of()
    twice = [Ending(B, 30), Ending(A, 31), Ending(B, 40)]
    assert checker.broken(APART, twice, ledger) == [f"ended twice: {B} at 30 and at 40"]
    ledger.again[B] = [35]
    assert checker.broken(APART, twice, ledger) == []


def test_what_nobody_asked_for_runs() -> None:
    ledger = ledger_of()
    del ledger.submitted[B]
    assert checker.broken(APART, [], ledger) == [f"unasked: {B} ran and nobody asked for it"]


def test_once_more_forgives_a_kill() -> None:
    ledger = ledger_of()
    ledger.killed[B] = 15
    ledger.retried(B)
    assert ledger.killed == {}


def test_the_newest_limit_ends_those_before_it() -> None:
    ledger = ledger_of(codex=4)
    ledger.may_hold("codex", 1)
    [four, one] = ledger.limits["codex"]
    assert ledger.limit_at("codex", one.since) == 4
    ledger.holds("codex")
    assert four.until is not None
    assert one.until is None
    assert ledger.limit_at("codex", four.until + 2) == 1
    assert ledger.limit_at("claude", 5) is None
