"""Printing what a demo came to."""

from coordinator.doors.demo.summary import LimitResult, Summary
from coordinator.doors.printing import say, table
from coordinator.words import model_of

_COLUMNS = ("limit", "allowed", "most at once", "tasks", "waited (median, longest)", "commits")


def print_summary(summary: Summary) -> None:
    """The table of limits, then where the results are and what to try next."""
    say("")
    table(_COLUMNS, [_row(one) for one in summary.limits])
    say("")
    hosts = ", ".join(f"{host} ran {count}" for host, count in summary.hosts.items())
    done = f"{summary.completed} of {summary.tasks} completed in {summary.seconds:.1f}s"
    say(f"{done}, {summary.commits} commits; {hosts}")
    say('"most at once" is by the agents\' own start and end marks, not by Redis')
    if summary.ok:
        reached = all(one.most == one.limit for one in summary.limits)
        say(f"{'every limit was reached and none' if reached else 'no limit was'} exceeded", "bold green")
    if summary.sample:
        say("")
        say(f"$ git -C {summary.sample.repo} log --oneline -1")
        say(summary.sample.log)
        say(f"  {summary.sample.diffstat}")
    if summary.directory:
        say(f"all results: {summary.directory}    (rm -r it at any time)")
    say("")
    say("next: coordinator init, then coordinator up; or coordinator demo --agent claude")


def _row(one: LimitResult) -> tuple[object, ...]:
    name = f"  {model_of(one.limit_key)}" if model_of(one.limit_key) else one.limit_key
    waited = f"{one.waited_median:.1f}s, {one.waited_longest:.1f}s"
    return (name, one.limit, one.most, one.tasks, waited, one.commits)
