"""Bugs of the place in line, and of the first refusal that is told."""

from tests.model.plant import Plant

LINE = (
    Plant(
        "a_refusal_untold",
        "The first refusal of a lane is no fact.",
        "facts.tell('Waiting',",
        "facts.later('1', '1',",
    ),
    Plant(
        "told_again",
        "A lane that stays under its key says so with each start.",
        "    rescore(lane, route, where, score)\n  else\n    leave(lane, route, where)",
        "    rescore(lane, route, where, score)\n"
        "    if where ~= '' then facts.tell('Waiting', { workspace = behind, key = where }) end\n"
        "  else\n    leave(lane, route, where)",
    ),
    Plant(
        "ready_lanes_are_not_first",
        "A lane that a key refuses counts only its group before it.",
        "rank = rank + redis.call('ZCOUNT', ready, '-inf', '(' .. score)",
        "rank = rank + 0 * redis.call('ZCOUNT', ready, '-inf', '(' .. score)",
    ),
    Plant(
        "counted_twice",
        "The mark of its own group counts as one more lane.",
        "if mark and tonumber(mark) < tonumber(score) then rank = rank - 1 end",
        "if mark and tonumber(mark) < tonumber(score) then rank = rank - 0 end",
    ),
    Plant(
        "aged_to_a_band",
        "The band of a lane is told as its priority.",
        "band > own and math.floor(band / 2) or nil",
        "band > own and band or nil",
    ),
)
