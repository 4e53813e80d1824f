"""Bugs planted in the freeze of a host, and in what is said of work that no host serves, as in planted.py."""

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
    Plant(
        "unserved_by_silent_hosts",
        "Work whose hosts fell silent is not said to have none.",
        "if row[1] or hosts.is_silent(row[2]) then return true end",
        "if row[1] then return true end",
    ),
    Plant(
        "unserved_by_a_frozen_host",
        "Work whose only host is frozen is not said to have none.",
        "  return freezes.of(host) ~= nil\n",
        "  return false\n",
    ),
    Plant(
        "served_and_called_unserved",
        "One host that is away hides the others of its route.",
        "    if not away[host] then return true end",
        "    if away[host] then return false end",
    ),
    Plant(
        "unserved_since_the_last",
        "Since when work waits is told of the last that came.",
        "if when and (not oldest or when < oldest) then",
        "if when and (not oldest or when > oldest) then",
    ),
)
