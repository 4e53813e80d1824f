"""Bugs planted in what waits for a time, as in planted.py."""

from typing import Final

from tests.model.plant import Plant

TIMES: Final = (
    Plant(
        "started_too_early",
        "What may not start before a time stands in its lane shortly before it.",
        "if not_before and not_before > call.now then return note(name, not_before) end",
        "if not_before and not_before > call.now + 1000 then return note(name, not_before) end",
    ),
    Plant(
        "time_untold",
        "Nobody is told when something's time comes: it waits for the next tick.",
        "string.format('%.0f', when), name)\n  facts.due(when)",
        "string.format('%.0f', when), name)\n  base.key(name)",
    ),
    Plant(
        "given_up_too_early",
        "A workspace is given up before its deadline.",
        "return deadline ~= nil and deadline <= call.now",
        "return deadline ~= nil and deadline <= call.now + 1000",
    ),
    Plant(
        "started_too_late",
        "A lane whose head is too late still grants it where more is due than one call does.",
        "  if later.missed(record) then",
        "  if later.missed({}) then",
    ),
    Plant(
        "lost_after_its_deadline_and_run_again",
        "A run that is lost or limited after its deadline is queued again.",
        "if later.missed(row) then return later.give_up(name, row, fields) end",
        "if later.missed({}) then return later.give_up(name, row, fields) end",
    ),
    Plant(
        "called_off_and_still_awaited",
        "One that was cancelled while it waited for its time comes back when that comes.",
        "if row.not_before or row.deadline then drop(name) end",
        "if row.deadline then drop(name) end",
    ),
    Plant(
        "started_and_still_awaited",
        "One that runs is still watched for its deadline.",
        "function later.started(name, row)\n  if row.deadline then",
        "function later.started(name, row)\n  if not row.deadline then",
    ),
    Plant(
        "time_forgotten_by_a_retry",
        "One that is queued again starts before its time.",
        "row[field] = when and when > call.now and when or false",
        "row[field] = told[field] and when > call.now and when or false",
    ),
    Plant(
        "deadline_lost_when_its_time_comes",
        "One that waited for its time waits for ever after it.",
        "if waits then later.enter(name, row) end",
        "if waits then queue.add(name, row.lane, tonumber(row.place)) end",
    ),
    Plant(
        "nobody_looks_at_the_clock",
        "What is due is left to push hosts: without one nothing that waits for a time ever starts.",
        "latch.fire(most), later.fire(most)",
        "latch.fire(most), 0",
    ),
    Plant(
        "new_priority_only_told",
        "What was given another priority waits as before.",
        "row.priority = ask.priority\n",
        "row.priority = was\n",
    ),
    Plant(
        "place_lost_with_a_new_priority",
        "Who gets the priority of others goes behind those who came later.",
        "queue.add(name, lane, base.number(row.place) or",
        "queue.add(name, lane, false or",
    ),
    Plant(
        "new_priority_forgotten",
        "What comes back goes by the priority that it was asked for with.",
        "{ priority = ask.priority, lane = lane }",
        "{ priority = was, lane = lane }",
    ),
    Plant(
        "left_in_the_lane_of_the_old_priority",
        "What was given another priority waits in two lanes.",
        "if lane ~= row.lane then queue.remove(name, row.lane) end",
        "if lane == row.lane then queue.remove(name, row.lane) end",
    ),
    Plant(
        "new_priority_before_its_time",
        "Another priority puts what waits for its time into its lane.",
        "if not waits_for_its_time and (lane ~= row.lane",
        "if (lane ~= row.lane",
    ),
)
