"""The laws of keys that reopen: see laws.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.model.ramp_model import Ramp

if TYPE_CHECKING:
    from tests.model.laws import Moment


def _granted(at: Moment) -> list[tuple[str, tuple[str, ...]]]:
    """What was granted in this call and still runs, each with its limit keys; not what ran already."""
    tokens = {name: record.get("token") for name, record in at.before.records.items()}
    new = {name for name in at.now.of_status("running") if at.now.records[name]["token"] != tokens.get(name)}
    new = {name for name in new - at.truth.restored if not at.truth.tasks[name].tracked}
    return [(name, ("*", *at.truth.tasks[name].keys)) for name in sorted(new)]


def the_ramp_never_exceeds_its_allowance(at: Moment) -> None:
    """After a gate has opened no step starts more than it allows, and each waits for those before it."""
    granted = _granted(at)
    for key, text in at.now.keys.get("ramp", {}).items():
        row, before = Ramp.read(key, text), at.before.keys.get("ramp", {}).get(key)
        limit = at.truth.limit(key)
        true = at.truth.ramp_of(key, limit)
        if true is None and row.at(at.truth.now, limit) is None:  # the clock has ended it; its timer is still to fire
            continue
        started = {name for name, keys in granted if key in keys}
        assert max(len(row.trial), len(started)) <= row.allowance, f"{key} started {sorted(started)}: {text}"
        assert len(row.trial) <= row.granted <= row.allowance, text
        old = Ramp.read(key, before) if before else Ramp.begin(key, row.since)
        if (old.since, old.allowance) == (row.since, row.allowance):
            gone = len(set(old.trial) - (set(row.trial) - started))  # some go back and start again at once
            assert row.granted >= old.granted - gone + len(started & set(row.trial)), f"{before} became {text}"
        assert set(row.trial) <= at.now.slots.get(key, set()), f"{text}: on trial and does not run"
        anew = true is not None and true.since > row.since and true == Ramp.begin(key, true.since)  # not written yet
        assert anew or row.at(at.truth.now, limit) == true, f"{key} ramps as {row}, true is {true}"


def a_gate_never_opens_early(at: Moment) -> None:
    """Nothing starts under a key before the end of its gate, nor before its step of the ramp."""
    shut, reasons = at.before.keys.get("backoff", {}), at.now.keys.get("backoff_reason", {})
    for name, keys in _granted(at):
        for key in set(keys) - at.truth.by_hand:
            assert float(shut.get(key, 0)) <= at.truth.now, f"{name} starts before the gate of {key} opens"
            ramp = at.truth.ramps.get(key)
            if ramp and name in ramp.trial:
                assert max(ramp.since, ramp.opens) <= at.truth.now, f"{name} starts before {ramp}"
    assert set(reasons) <= set(at.now.keys.get("backoff", {})), "a reason for an open gate"


def no_ramp_is_left_behind(at: Moment) -> None:
    """Each ends by itself: the clock is set for what changes it next."""
    assert set(at.now.keys.get("ramp", {})) <= set(at.now.timers), "a ramp that nothing ends"
