"""Bugs planted in what paces a pool, as in planted.py."""

from typing import Final

from tests.model.plant import Plant

PACE: Final = (
    Plant(
        "pace_ignored",
        "A pool starts again before its delay is over.",
        "local paced = paces(limit_key)\n  if paced then return paced end",
        "local paced = paces(limit_key)\n  if not paced then return paced end",
    ),
    Plant(
        "min_delay_is_no_floor",
        "A burst without a delay of its own goes faster than min_delay.",
        "burst = math.max(base.count(rates[6]), least)",
        "burst = base.count(rates[6])",
    ),
    Plant(
        "edge_without_a_timer",
        "The end of a burst shuts a pool again, and nobody looks when its longer delay is over.",
        "return 0, edge < (burst and sustained_at or burst_at) and edge or nil",
        "return 0, nil",
    ),
    Plant(
        "delay_of_the_last_start",
        "The delay is that of the moment of the last start, not of the moment of asking.",
        "local burst = in_burst(pool, call.now)",
        "local burst = in_burst(pool, pool.last)",
    ),
    Plant(
        "one_more_than_the_quota",
        "A pool starts one more than its daily limit.",
        "pool.daily > 0 and pool.count >= pool.daily",
        "pool.daily > 0 and pool.count > pool.daily",
    ),
    Plant(
        "quota_of_a_calendar_day",
        "The quota starts anew at midnight, not at the reset.",
        "local function counts(pool) return pool.last and pool.last >= reset_before(pool, call.now) end",
        "local function counts(pool) return pool.last and pool.last >= math.floor(call.now / DAY) * DAY end",
    ),
    Plant(
        "starts_forgotten",
        "A start that nothing paced is forgotten: rates that come after it let the next start at once.",
        "  if not pool then return false end\n  with_starts",
        "  if not pool or not (pool.delays or pool.daily > 0) then return false end\n  with_starts",
    ),
    Plant(
        "slow_failures_count",
        "A run that failed after long work counts as a fast failure.",
        "local quick = ask.status == 'failed' and call.now",
        "local quick = ask.status == 'failed' or call.now",
    ),
    Plant(
        "success_forgives_nothing",
        "Failures that are not in a row rest the pool.",
        "redis.call('HDEL', base.key('fail_count'), pool)",
        "redis.call('HGET', base.key('fail_count'), pool)",
    ),
    Plant(
        "killed_counts_as_failed",
        "Three runs that somebody ended rest the pool.",
        "if row.kill or OTHERS_DID_IT[ask.verdict or ''] then return end",
        "if row.kill then return end",
    ),
)
