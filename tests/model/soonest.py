"""From which seed the machine meets each planted bug soonest. `python -m tests.model.soonest` looks for them anew.

Only time depends on these: whatever is not here, or not met from here any more, is looked for from others.
"""

import sys
from typing import Final

from hypothesis.errors import FlakyFailure

from coordinator.errors import LibraryError
from tests.model.plant import Plant
from tests.model.planted import PLANTED
from tests.model.running import run
from tests.model.world import World
from tests.servers import VALKEY, Servers

#: What `meet` raises when the machine meets a bug.
MEETS: Final = (AssertionError, LibraryError)
SOONEST: Final[dict[str, int]] = {
    "opened_on_one_route": 1, "no_timer": 1, "one_more_than_the_limit": 1, "key_not_released": 1,
    "token_not_checked": 2, "renewed_by_anyone": 12, "retry_counted": 1, "retry_forgotten": 7, "at_least_ignored": 1,
    "last_come_first_served": 1, "priority_upside_down": 1, "poked_and_still_waiting": 1, "poke_not_passed_on": 5,
    "lost_poke_forgotten": 2, "poked_without_a_receiver": 3, "new_place_when_requeued": 7, "answered_not_in_front": 3,
    "answer_pin_forgotten": 3, "pin_kept_for_ever": 2, "answer_forgotten_with_a_lost_run": 3, "reaped_alive": 2,
    "freeze_of_a_key_ignored": 1, "full_key_opens_nothing": 3, "thaw_opens_nothing": 2, "group_not_left": 1,
    "mark_lags_behind": 1, "too_many_slots": 1, "granted_while_settling": 2, "no_proof_of_death": 2,
    "old_report_taken": 5, "killed_comes_back": 4, "limited_spends_an_attempt": 1, "explained_by_the_last_key": 2,
    "rates_stay": 1, "drained_while_one_runs": 4, "drained_count_never_ends": 1, "fence_not_lifted": 2,
    "a_question_forgotten": 10, "forgotten_uncounted": 1, "waiting_counted_as_running": 1, "page_begins_again": 3,
    "token_given_twice": 1, "found_running_and_not_counted": 3, "cancelled_comes_back": 19, "ended_run_comes_back": 12,
    "anyone_moves_a_tracked_run": 10, "two_hosts_disagree": 2, "proof_of_death_unheard": 9,
    "end_of_a_pushed_run_unseen": 1, "pushed_to_a_silent_host": 6, "offers_left_untold": 2,
    "pushed_host_that_asked_for_less_sleeps": 2, "confirmed_by_anyone": 4, "a_loss_untold": 1,
    "a_wish_for_an_end_untold": 1, "told_with_the_attempt_before": 1, "drained_miscounted": 1,
    "accounts_not_judged": 1, "judged_by_the_first_account": 1, "account_not_given_back": 1,
    "ending_opens_no_group": 1, "account_opens_no_group": 1, "fullest_account_first": 1, "named_account_ignored": 1,
    "limit_shuts_the_pool": 1, "latest_account_told": 2, "new_account_unfelt": 2, "default_opens_no_group": 8,
    "account_kept_in_the_queue": 1, "org_not_held": 2, "labels_not_held": 1, "default_of_repos_only": 4,
    "default_before_its_own": 6, "default_opens_nothing": 2, "walk_not_resumed": 2, "other_walks_forgotten": 4,
    "one_walk_for_all": 4, "pace_ignored": 1, "min_delay_is_no_floor": 6, "edge_without_a_timer": 6,
    "delay_of_the_last_start": 8, "one_more_than_the_quota": 2, "quota_of_a_calendar_day": 6, "starts_forgotten": 2,
    "slow_failures_count": 2, "success_forgives_nothing": 1, "killed_counts_as_failed": 6, "starts_free": 1,
    "endings_unsettled": 1, "turns_saved_up": 7, "debts_forgotten": 1, "weights_ignored": 2, "never_older": 3,
    "old_for_ever": 1, "one_route_first": 5, "expectation_never_learnt": 1, "late_runs_free": 9,
    "late_runs_forgotten_at_a_start": 1, "a_refusal_untold": 1, "told_again": 1, "ready_lanes_are_not_first": 6,
    "counted_twice": 6, "aged_to_a_band": 3, "all_at_once_after_a_gate": 1, "one_more_than_the_allowance": 1,
    "killed_holds": 7, "own_ending_gives_back": 2, "next_step_without_a_wait": 1, "clear_does_not_end_a_ramp": 1,
    "step_without_a_timer": 1, "bursts_after_a_reset": 6, "thaw_does_not_end_a_ramp": 4, "unconfirmed_holds": 3,
    "started_too_early": 1, "time_untold": 1, "given_up_too_early": 4, "started_too_late": 12,
    "lost_after_its_deadline_and_run_again": 8, "called_off_and_still_awaited": 20,
    "started_and_still_awaited": 8, "time_forgotten_by_a_retry": 1,
    "deadline_lost_when_its_time_comes": 4, "nobody_looks_at_the_clock": 1, "new_priority_only_told": 1,
    "place_lost_with_a_new_priority": 2, "new_priority_forgotten": 1, "left_in_the_lane_of_the_old_priority": 1,
    "new_priority_before_its_time": 4, "frozen_host_served": 2, "frozen_host_waits": 2, "frozen_push_host_waits": 2,
    "thawed_host_sleeps": 2, "frozen_asker_served": 6, "freeze_of_a_host_unexplained": 6,
    "unserved_by_silent_hosts": 2, "unserved_by_a_frozen_host": 2, "served_and_called_unserved": 2,
    "unserved_since_the_last": 2,
}  # fmt: skip
EXAMPLES: Final = 8  # of a run from such a seed. What a seed means depends on it: of ten or more the first are small
_MOST_STARTS: Final = 40
_CHEAP: Final = 120  # calls until the bug is met: few enough to stop looking for a better seed
_DEARER: Final = 40  # calls more that are few enough, with each seed that was tried


def meet(plant: Plant, servers: Servers, start: int, examples: int = EXAMPLES) -> None:
    """Raises what the machine finds from this seed in a library with this bug.

    A law that failed, and did not again with a set in another order, has failed; a test that ran out of time has not.
    """
    try:
        run(VALKEY, servers, examples=examples, steps=50, start=start, shrink=False, plant=plant)
    except FlakyFailure as flaky:
        raise flaky.exceptions[0] from flaky  # what was raised at first, whatever it was


def soonest(plant: Plant, servers: Servers) -> int | None:
    """The seed that takes the fewest calls, of so many that looking for a better one would cost more; None: no seed."""
    best: tuple[int, int] | None = None
    for start in range(1, _MOST_STARTS + 1):
        before = World.calls
        try:
            meet(plant, servers, start)
        except MEETS:
            best = min(best or (sys.maxsize, 0), (World.calls - before, start))
        if best and best[0] <= _CHEAP + _DEARER * start:
            break
    return best and best[1]


if __name__ == "__main__":
    servers = Servers()
    for plant in PLANTED:
        if (start := soonest(plant, servers)) is not None:
            sys.stdout.write(f'"{plant.name}": {start},\n')
            sys.stdout.flush()
    servers.stop()
