"""Bugs planted in whose turn it is, as in planted.py."""

from typing import Final

from tests.model.plant import Plant

FAIR: Final = (
    Plant(
        "starts_free",
        "A start charges its lane nothing.",
        "state.pass, state.since, state.aged, state.dirty = start - over + charge, call.now, nil, true",
        "state.pass, state.since, state.aged, state.dirty = start - over, call.now, nil, true",
    ),
    Plant(
        "endings_unsettled",
        "What a run really took is never corrected.",
        "state.pass = math.max(state.pass + math.ceil(took / weight) - math.ceil(charged / weight), 0)",
        "state.pass = math.max(state.pass, 0)",
    ),
    Plant(
        "turns_saved_up",
        "Who was blocked comes back with all the turns it missed.",
        "local start = math.max((state.pass or reached) + over, reached - charge)",
        "local start = (state.pass or reached) + over",
    ),
    Plant(
        "debts_forgotten",
        "A lane that was empty for a moment owes nothing any more.",
        "if not state.pass or state.pass <= route['v' .. own] then",
        "if state then",
    ),
    Plant(
        "weights_ignored",
        "A weight changes nothing.",
        "if weight and weight >= 1 then return math.min(weight, 1000) end",
        "if weight and weight >= 1000 then return math.min(weight, 1000) end",
    ),
    Plant(
        "never_older",
        "What waits too long stays in its band.",
        "band = math.min(own + 2 * math.floor((call.now - state.since) / after), HIGHEST - 1)",
        "band = own",
    ),
    Plant(
        "old_for_ever",
        "A lane that has aged keeps its band after it started something.",
        "return score_of(own, start + charge), state.expected",
        "return score_of(math.min(own + 2, HIGHEST), start + charge), state.expected",
    ),
    Plant(
        "one_route_first",
        "On a host that serves several routes the first of them always goes first.",
        "route.turn = base.count(read(name, 'turn')[1]) end",
        "route.turn = 0 end",
    ),
    Plant(
        "expectation_never_learnt",
        "A lane's runs are expected to take as long as on its first day.",
        "math.max(state.expected + math.floor((took - state.expected) / 4), LEAST), true",
        "state.expected, true",
    ),
    Plant(
        "late_runs_free",
        "A lane whose runs take longer than expected keeps its place while they run.",
        "return now > score and now or nil",
        "return nil",
    ),
    Plant(
        "late_runs_forgotten_at_a_start",
        "What runs took beyond their charge is left out where their lane starts another.",
        "local start = math.max((state.pass or reached) + over, reached - charge)",
        "local start = math.max(state.pass or reached, reached - charge)",
    ),
)
