"""Bugs planted in what a server is told again that has lost what it knew, as in planted.py."""

from typing import Final

from tests.model.plant import Plant

RESTORE: Final = (
    Plant(
        "ended_again",
        "An ending that is told again is counted again.",
        "return lease.is_newer(row, one.token) and not has_been(one, row) end",
        "return lease.is_newer(row, one.token + 1) and not has_been(one, row) end",
    ),
    Plant(
        "newer_wish_taken",
        "What was asked for anew is taken by a run that had ended before.",
        "return base.count(row and (row.token or row.past)) < token and",
        "return base.count(row and row.token) < token and",
    ),
    Plant(
        "fence_not_lifted_by_what_is_restored",
        "The token of a run that was forgotten may be given again.",
        "    lease.shown(ask.runs)\n",
        "    lease.shown({})\n",
    ),
    Plant(
        "older_run_keeps_its_slots",
        "The older run under the name of one that is restored holds its keys for ever.",
        "    lease.release(name, old)\n  elseif old.status == 'queued' then",
        "  elseif old.status == 'queued' then",
    ),
    Plant(
        "restored_and_still_waiting",
        "What the server remembers as waiting runs, and waits.",
        "    later.leave(name, old)\n  end\n  local lane, wish",
        "  end\n  local lane, wish",
    ),
    Plant(
        "the_expected_forgotten",
        "The fleet settles without the hosts that were there before.",
        "for _, host in ipairs(base.named('expected')) do",
        "for _, host in ipairs({}) do",
    ),
    Plant(
        "a_beat_has_told_all",
        "A host that beats counts as one that has told what it holds.",
        "epoch = ask.epoch or call.control.epoch,",
        "epoch = call.control.epoch,",
    ),
    Plant(
        "forgotten_called_lost",
        "A host is told to end a run that the server has only forgotten.",
        "return ask.epoch and lease.is_newer(row, one.token)",
        "return ask.epoch and row and lease.is_newer(row, one.token)",
    ),
    Plant(
        "thawed_by_a_replica",
        "What somebody froze is thawed by a replica that begins.",
        "if call.control.frozen_at and not (remembered",
        "if call.control.frozen_until and not (remembered",
    ),
    Plant(
        "what_was_forgotten_starts_at_once",
        "A fleet that only its environment has thawed goes on when a worker tells of a run that it forgot.",
        "if not latch.is_new() or call.control.frozen_at then return end",
        "if latch.is_new() or call.control.frozen_at then return end",
    ),
    Plant(
        "open_gates_backed_up",
        "A gate that is over is remembered as one that is shut.",
        "if ends and ends > call.now then out[limit_key] = {",
        "if ends then out[limit_key] = {",
    ),
    Plant(
        "receipt_of_another_run",
        "A run shows what the end of the one before it found.",
        "pr_url = row.pr_url or false, receipt = false, ran_on",
        "pr_url = row.pr_url or false, ran_on",
    ),
    Plant(
        "receipt_lost",
        "Nobody learns which processes an end found.",
        "receipt = ask.receipt or false }",
        "receipt = false }",
    ),
    Plant(
        "late_failure_is_quick",
        "A failure that nobody dates counts as a fast one.",
        "if was_forgotten and not one.started_at then row.started_at = nil end",
        "if was_forgotten and not one.started_at then row.ran_on = nil end",
    ),
    Plant(
        "applied_over_a_configuration",
        "A replica that begins replaces what operators have set.",
        "if ask.if_new and call.control.schema and not (ask.hosts and latch.is_blind()) then return",
        "if ask.if_new and call.control.expected then return",
    ),
    Plant(
        "drained_by_nobody",
        "The ending of a run that was forgotten, and was the last, is not told as such.",
        "call.ended, call.started = true, nil",
        "call.ended = true",
    ),
    Plant(
        "stilled_goes_on_beyond_a_limit",
        "A host that comes back late goes on with what others have replaced.",
        "if gates.is_beyond(limit_key) then return true end",
        "if gates.is_beyond(limit_key) then return false end",
    ),
    Plant(
        "stilled_is_never_judged",
        "One that was told before all hosts had told goes on, whatever the others have told since.",
        "if row.stilled and losing.judge(one.workspace, row) then",
        "if row.stilled and gates.settling() and losing.judge(one.workspace, row) then",
    ),
    Plant(
        "only_known_hosts_are_awaited",
        "A server that came back empty settles as soon as the first host has told.",
        "if not base.is_named('expected', host) then hosts.expect_unnamed() end",
        "if base.is_named('expected', host) then hosts.expect_unnamed() end",
    ),
    Plant(
        "judged_without_limits",
        "What stood still goes on where nobody has said yet how many may run.",
        "return gates.settling() ~= nil or not call.control.schema and gates.freeze_of('*') ~= nil",
        "return gates.settling() ~= nil",
    ),
    Plant(
        "told_under_one_id_again",
        "A notification is told as often as somebody asks.",
        "if ask.id and not is_new(ask.id) then return",
        "if ask.id and is_new(ask.id) == nil then return",
    ),
)
