"""Bugs planted in how a key goes on after its gate has opened, as in planted.py."""

from typing import Final

from tests.model.plant import Plant

RAMP: Final = (
    Plant(
        "all_at_once_after_a_gate",
        "A key whose gate has opened bursts.",
        "  return ramp.refuses(limit_key)\nend",
        "  ramp.refuses(limit_key)\nend",
    ),
    Plant(
        "one_more_than_the_allowance",
        "A step grants one more than its allowance.",
        "  if state.granted < state.allowance then return nil end",
        "  if state.granted <= state.allowance then return nil end",
    ),
    Plant(
        "killed_holds",
        "A run that somebody ended counts as one that held: more go on nobody's word.",
        "    if not by_itself and minute > call.now then state.granted = state.granted - 1 end",
        "    if not by_itself and minute > call.now then state.granted = state.granted - 0 end",
    ),
    Plant(
        "own_ending_gives_back",
        "A run that ended by itself gives its grant back, and no step is ever over before its minute.",
        "  ramp.ended(name, keys, call.own_ending == name)",
        "  ramp.ended(name, keys, false)",
    ),
    Plant(
        "next_step_without_a_wait",
        "A step begins in the very moment in which the one before has held.",
        "since = since, opens = from + jitter(limit_key, since, allowance), trial",
        "since = since, opens = from + (allowance > 1 and 0 or jitter(limit_key, since, allowance)), trial",
    ),
    Plant(
        "clear_does_not_end_a_ramp",
        "An operator clears a back-off, and the key still goes step by step.",
        "  ramp.stop(limit_key)\n  if until_ms > call.now then",
        "  if until_ms > call.now then",
    ),
    Plant(
        "step_without_a_timer",
        "What waits for the next step of a ramp is not looked at when the clock begins it.",
        "ramp.settle(limit_key) or false } do",
        "ramp.settle(limit_key) and false or false } do",
    ),
    Plant(
        "bursts_after_a_reset",
        "The reset of a used-up quota lets all go at once.",
        "return math.floor(math.max(gate, pace.lapsed(limit_key) or 0))",
        "return math.floor(gate)",
    ),
    Plant(
        "thaw_does_not_end_a_ramp",
        "An operator opens a key, and it still goes step by step.",
        "    ramp.stop(limit_key)\n    latch.time(limit_key)",
        "    latch.time(limit_key)",
    ),
    Plant(
        "unconfirmed_holds",
        "A minute in which a push host has not said that it starts a run counts as a run of a minute.",
        "(how.mode == 'push' and math.min(how.ttl, HOUR - MINUTE) or 0)",
        "(how.mode == 'pull' and 0 or 0)",
    ),
)
