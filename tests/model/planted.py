"""Bugs planted in the library, one line each: the model must catch every one. `old` is in the library exactly once."""

from typing import Final

from tests.model.plant import Plant
from tests.model.planted_accounts import ACCOUNTS
from tests.model.planted_fair import FAIR
from tests.model.planted_freezes import FREEZES
from tests.model.planted_keys import KEYS
from tests.model.planted_line import LINE
from tests.model.planted_pace import PACE
from tests.model.planted_ramp import RAMP
from tests.model.planted_restore import RESTORE
from tests.model.planted_times import TIMES

PLANTED: Final = (
    Plant(
        "opened_on_one_route",
        "A key that admits again is marked on the first route only; its lanes on the others sleep for ever.",
        "for _, route in ipairs(redis.call('SMEMBERS', base.key('groups', limit_key))) do\n    local best",
        "for _, route in ipairs({ redis.call('SMEMBERS', base.key('groups', limit_key))[1] }) do\n    local best",
    ),
    Plant(
        "no_timer",
        "A gate is shut without a timer: when it ends nobody looks.",
        "redis.call('ZADD', base.key('timers'), string.format('%.0f', when), limit_key)",
        "redis.call('ZCARD', base.key('timers'))",
    ),
    Plant(
        "one_more_than_the_limit",
        "A full key still admits one.",
        "return limit and gates.used(limit_key) >= limit",
        "return limit and gates.used(limit_key) > limit",
    ),
    Plant(
        "key_not_released",
        "The end of a run gives back every key but the last.",
        "for _, limit_key in ipairs(keys) do vacate(name, limit_key) end",
        "for i = 1, #keys - 1 do vacate(name, keys[i]) end",
    ),
    Plant(
        "token_not_checked",
        "A stale holder ends the run of the one that came after it.",
        "if ask.token and ask.token ~= token then",
        "if ask.token and ask.token > token then",
    ),
    Plant(
        "renewed_by_anyone",
        "A beat with an old token keeps the lease of a newer run alive.",
        "if lease.is_held(row, ask.host, one.token) then\n    if row.stilled",
        "if row and row.status == 'running' and row.host == ask.host then\n    if row.stilled",
    ),
    Plant(
        "retry_counted",
        "A claim that is asked again hands out more.",
        "if ask.seq == last then return",
        "if ask.seq == 0 then return",
    ),
    Plant(
        "retry_forgotten",
        "A claim that is asked again gets nothing: what it was given is lost.",
        "last = #given > 0 and base.encode(given) or false, more",
        "last = false, more",
    ),
    Plant(
        "asked_again_runs_twice",
        "What was asked for under an id, and has run, runs once more when its answer was lost.",
        "(same or not ask.again)",
        "not ask.again",
    ),
    Plant(
        "at_least_ignored",
        "A gate that may only move later moves earlier.",
        "if ask.at_least then until_ms = math.max(until_ms, was) end",
        "if ask.at_least then until_ms = until_ms + 0 end",
    ),
    Plant(
        "last_come_first_served",
        "A lane is served from its wrong end.",
        "redis.call('ZRANGE', base.key('lane', lane), 0, 1)",
        "redis.call('ZREVRANGE', base.key('lane', lane), 0, 1)",
    ),
    Plant(
        "priority_upside_down",
        "What matters least goes first.",
        "return (HIGHEST - band) * BAND",
        "return band * BAND",
    ),
    Plant(
        "poked_and_still_waiting",
        "A poked host stays in the waiting sets and is poked again instead of the next.",
        "'mode', 'beat')\n  hosts.leave(host)",
        "'mode', 'beat')\n  base.key(host)",
    ),
    Plant(
        "poke_not_passed_on",
        "A host that was poked and found other work leaves the rest asleep.",
        "if was_poked or pushed or answer.more then",
        "if pushed or answer.more then",
    ),
    Plant(
        "lost_poke_forgotten",
        "A poke that led to no claim goes to nobody else.",
        "do call.touched[route] = true end\n  end\nend\n\n-- Pokes",
        "do call.touched[route] = nil end\n  end\nend\n\n-- Pokes",
    ),
    Plant(
        "poked_without_a_receiver",
        "A poke that nobody heard counts as a wake-up.",
        "if redis.call('PUBLISH', base.key('poke', host), '') == 0 then return false end",
        "redis.call('PUBLISH', base.key('poke', host), '')",
    ),
    Plant(
        "new_place_when_requeued",
        "What comes back goes to the end of its lane.",
        "queue.add(name, row.lane, base.number(row.place) or base.next('place'))",
        "queue.add(name, row.lane, base.next('place'))",
    ),
    Plant(
        "answered_not_in_front",
        "Who was answered waits behind all that came meanwhile.",
        "new.front = (ask.front or new.answer) and '1' or nil",
        "new.front = ask.front and '1' or nil",
    ),
    Plant(
        "answer_pin_forgotten",
        "Who was answered goes to any host, where neither its checkout nor its session lies.",
        "if not new.requires and row.ran_on then",
        "if not new.requires and row.ran_in then",
    ),
    Plant(
        "pin_kept_for_ever",
        "A plain retry still waits for the host that held it, which may be gone.",
        "if row.pinned then new.requires, new.pinned = nil, nil end",
        "if row.pinned then new.pinned = nil end",
    ),
    Plant(
        "answer_forgotten_with_a_lost_run",
        "A run that is lost takes the answer with it.",
        "fields.status, fields.host, fields.pid, fields.kill, fields.mode",
        "fields.status, fields.host, fields.answer, fields.kill, fields.mode",
    ),
    Plant(
        "reaped_alive",
        "A lease is reaped before its deadline.",
        "redis.call('ZRANGEBYSCORE', base.key('leases'), '-inf', call.now, 'LIMIT', 0, most)",
        "redis.call('ZRANGEBYSCORE', base.key('leases'), '-inf', call.now + 1000, 'LIMIT', 0, most)",
    ),
    Plant(
        "freeze_of_a_key_ignored",
        "A frozen key still starts.",
        "local text = seen(limit_key).frozen\n    if not text then return nil end",
        "local text = seen(limit_key).frozen\n    if text then return nil end",
    ),
    Plant(
        "full_key_opens_nothing",
        "A key that gets room again does not open.",
        "    if blocked then latch.open(keys[i]) end",
        "    if not blocked then latch.open(keys[i]) end",
    ),
    Plant(
        "thaw_opens_nothing",
        "A thawed key waits for the next tick.",
        "latch.open(limit_key)\n    return { outcome = 'thawed'",
        "return { outcome = 'thawed'",
    ),
    Plant(
        "group_not_left",
        "A lane that is refused by another key stays in the first key's group too.",
        "redis.call('ZREM', queue.place_of(route, from), lane)\n  if from ~= '' then mark(from, route) end",
        "redis.call('ZCARD', queue.place_of(route, from))\n  if from ~= '' then mark(from, route) end",
    ),
    Plant(
        "mark_lags_behind",
        "The mark of a group keeps the score of a lane that is gone.",
        "redis.call('ZADD', base.key('ready', route), 'XX', score, '@' .. where)",
        "redis.call('ZCARD', base.key('ready', route))",
    ),
    Plant(
        "too_many_slots",
        "A host is given one more than it has slots for.",
        "local free = (row.quiet or cold) and 0 or math.max(slots - held, 0)",
        "local free = (row.quiet or cold) and 0 or math.max(slots - held + 1, 0)",
    ),
    Plant(
        "granted_while_settling",
        "After a restart work is handed out before the hosts said what they hold.",
        "return ends and ends > call.now and ends or nil",
        "return ends and ends < call.now and ends or nil",
    ),
    Plant(
        "no_proof_of_death",
        "An asker's run that lapsed is handed out again although its process may live.",
        "local status = proof and 'queued' or 'blocked'",
        "local status = 'queued'",
    ),
    Plant(
        "old_report_taken",
        "A report from before the run ends it.",
        "local late = ask.as_of and row.granted and facts.later(row.granted, ask.as_of)",
        "local late = ask.as_of and row.granted and facts.later(ask.as_of, ask.as_of)",
    ),
    Plant(
        "killed_comes_back",
        "A run that somebody killed is queued again after a usage limit.",
        "and ask.status == 'failed' and row.kill == nil end",
        "and ask.status == 'failed' end",
    ),
    Plant(
        "limited_spends_an_attempt",
        "A usage limit counts as a failed attempt.",
        "fields.attempt = math.max((base.number(row.attempt) or 1) - 1, 0)",
        "fields.attempt = base.number(row.attempt) or 1",
    ),
    Plant(
        "explained_by_the_last_key",
        "A refusal names the last key that refuses, not the first.",
        "accounts.refuses(limit_key)\n    if no then return no end\n  end\n  return nil\nend",
        "accounts.refuses(limit_key)\n    if no then call.no = no end\n  end\n  return call.no\nend",
    ),
    Plant(
        "rates_stay",
        "A pool keeps rates that the file no longer names.",
        "base.named('paced')) do paced[pool] = true end",
        "base.named('paced')) do call.pool = pool end",
    ),
    Plant(
        "drained_while_one_runs",
        "The queue is said to be drained when nothing waits any more, while others still run.",
        "if redis.call('ZCARD', base.key('status', 'running')) > 0 or redis",
        "if redis",
    ),
    Plant(
        "drained_count_never_ends",
        "What ended before the queue was last empty is counted again.",
        "base.keep('ended', false)",
        "base.keep('ended', count)",
    ),
    Plant(
        "fence_not_lifted",
        "A server that came back without its fence gives tokens out again that a host holds.",
        "if highest <= base.count(redis.call('GET', base.key('fence'))) then return end",
        "if highest >= 0 then return end",
    ),
    Plant(
        "a_question_forgotten",
        "What is blocked is forgotten before anybody answered.",
        "local ENDED = { 'completed', 'merged', 'ready-for-review', 'failed' }",
        "local ENDED = { 'completed', 'merged', 'ready-for-review', 'failed', 'blocked' }",
    ),
    Plant(
        "forgotten_uncounted",
        "What is forgotten is not in the summary.",
        "if more > 0 then sums[field] = math.min(was + more, MOST_SUMMED) end",
        "if more > 1 then sums[field] = math.min(was + more, MOST_SUMMED) end",
    ),
    Plant(
        "waiting_counted_as_running",
        "The time that a cancelled workspace waited is counted as a run.",
        "local took = row.mode and started",
        "local took = started",
    ),
    Plant(
        "page_begins_again",
        "A page tells the last record of the page before once more.",
        "then to = middle else from = middle + 1 end",
        "then to = middle else from, to = middle, middle end",
    ),
    Plant(
        "token_given_twice",
        "Two runs of one millisecond get the same token.",
        "return last + 1\n",
        "return last\n",
    ),
    Plant(
        "found_running_and_not_counted",
        "A run that somebody says is alive holds no slot: too many start beside it.",
        "if status == 'running' then\n    run(name, one, row, host)",
        "if status == 'running' then\n    lease.finish(name, row, 'blocked', {})",
    ),
    Plant(
        "cancelled_comes_back",
        "The file that was taken before queues again what was cancelled.",
        "and one.updated_at ~= base.number(old.updated_at)",
        "and one.updated_at ~= -1",
    ),
    Plant(
        "ended_run_comes_back",
        "A disk that missed the ending of a run queues it again.",
        "if one.token and one.token <= base.count(old.token) and",
        "if one.token and one.token < base.count(old.token) and",
    ),
    Plant(
        "anyone_moves_a_tracked_run",
        "The word of another host ends a run that track entered.",
        "or old.host ~= (host or one.host or NOBODY) then return false end",
        "then return false end",
    ),
    Plant(
        "two_hosts_disagree",
        "A copy of a workspace on another host's disk changes its record.",
        "return (old.requires or host) ~= host or",
        "return false and",
    ),
    Plant(
        "proof_of_death_unheard",
        "The word of its host about a run that lapsed is not taken: it stays blocked, or runs uncounted.",
        "local proves = lapsed(old) and",
        "local proves = false and",
    ),
    Plant(
        "end_of_a_pushed_run_unseen",
        "A push host whose run ends does not wait again: it is given nothing until it beats.",
        "if row.host then offers.room(row.host, row.mode == 'pull') end",
        "if row.host and row.mode == 'asker' then offers.room(row.host, false) end",
    ),
    Plant(
        "pushed_to_a_silent_host",
        "A push host that beats no more is still handed work.",
        "return call.now - base.count(beat) > hosts.silent_after() end",
        "return call.now - base.count(beat) > 10 * hosts.silent_after() end",
    ),
    Plant(
        "offers_left_untold",
        "A call that handed out all it may leaves the other push hosts to the next tick.",
        "if call.offers[1] then facts.due(call.now) end",
        "if call.offers[0] then facts.due(call.now) end",
    ),
    Plant(
        "pushed_host_that_asked_for_less_sleeps",
        "A push host that claims less than it has room for is not handed the rest.",
        "if (pushed and free or want) > #answer.grants and",
        "if want > #answer.grants and",
    ),
    Plant(
        "confirmed_by_anyone",
        "A lease that a worker must renew lives on by a word of somebody else.",
        "if row.mode ~= 'push' then return 'no push host holds this run' end",
        "if not row.mode then return 'no push host holds this run' end",
    ),
    Plant(
        "a_loss_untold",
        "A run that is lost is no fact.",
        "facts.tell('AgentLost', { workspace = name, host = row.host, token",
        "facts.later('1', '1', { workspace = name, host = row.host, token",
    ),
    Plant(
        "a_wish_for_an_end_untold",
        "That somebody wants a run to end is no fact.",
        "facts.tell('KillRequested',",
        "facts.later('1', '1',",
    ),
    Plant(
        "told_with_the_attempt_before",
        "A start is told with the number of the attempt before it.",
        "token = token, attempt = fresh.attempt,",
        "token = token, attempt = base.number(row.attempt),",
    ),
    Plant(
        "drained_miscounted",
        "The queue is said to be drained of one more than ended.",
        "facts.tell('QueueDrained', { completed = count })",
        "facts.tell('QueueDrained', { completed = count + 1 })",
    ),
    *ACCOUNTS,
    *KEYS,
    *PACE,
    *FAIR,
    *LINE,
    *RAMP,
    *RESTORE,
    *TIMES,
    *FREEZES,
)
