"""Bugs planted in the freeze of a host, as in planted.py."""

from typing import Final

from tests.model.plant import Plant

FREEZES: Final = (
    Plant(
        "frozen_host_served",
        "A frozen host is given what it claims.",
        "local free = (row.quiet or cold) and 0 or",
        "local free = row.quiet and 0 or",
    ),
    Plant(
        "frozen_host_waits",
        "A host that waited when it was frozen is woken for nothing.",
        "if host and freezes.of(host) and redis.call('HEXISTS'",
        "if host and not freezes.of(host) and redis.call('HEXISTS'",
    ),
    Plant(
        "frozen_push_host_waits",
        "A frozen push host waits for work again with its next beat.",
        "is_silent(row[5]) or freezes.of(host) then return end",
        "is_silent(row[5]) then return end",
    ),
    Plant(
        "thawed_host_sleeps",
        "A push host that is thawed is handed nothing until it beats.",
        "function latch.open(limit_key)\n  freezes.ended(limit_key)",
        "function latch.open(limit_key)\n  base.key(limit_key)",
    ),
    Plant(
        "frozen_asker_served",
        "A frozen host is granted what it asks to run itself.",
        "  if cold then return cold end",
        "  if cold and call.no then return cold end",
    ),
    Plant(
        "freeze_of_a_host_unexplained",
        "What waits for a frozen host is said to wait for a busy one.",
        "        cold = freezes.sooner(no, cold)\n      else",
        "        cold = freezes.sooner(no, cold)\n      end\n      if no ~= 0 then",
    ),
)
