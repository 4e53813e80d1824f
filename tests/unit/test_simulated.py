"""The fleet in simulated time: all runs once, no slot is idle while something waits, and the plain rule is fair."""

from itertools import pairwise

from tests.model import build
from tests.model.world import World
from tests.servers import FAKE, Servers
from tests.simulated import Host, Played, Work, lengths, played, simulate

HOSTS = (Host("h1", 2), Host("h2", 1, ("codex", "claude")))
WORK = (Work("a", 8), Work("b", 3, after=900_000), Work("c", 3, "claude"))


def _running(found: Played, moment: int) -> int:
    return sum(run.began <= moment < run.ended for run in found.runs)


def test_every_workspace_runs_once_and_slots_are_full_while_it_can() -> None:
    world = World(FAKE, Servers(), build.text())
    try:
        found = simulate(world, WORK, HOSTS, took := lengths(WORK, 3))
    finally:
        world.close()
    for one in WORK:
        runs = [run for run in found.runs if run.repo == one.repo]
        assert sorted(run.ended - run.began for run in runs) == sorted(took[one.repo])
        assert min(run.began for run in runs) >= one.after
    moments = sorted({when for run in found.runs for when in (run.began, run.ended)})
    assert max(_running(found, moment) for moment in moments) == 3
    assert all(_running(found, moment) == 3 for moment in moments if moment < found.until), "a poked host claims"
    assert all(one <= two for one, two in pairwise(run.began for run in found.runs))


def test_the_plain_rule_gives_each_its_share() -> None:
    work = tuple(Work(f"r{number}", 200) for number in range(4))
    found = played(work, 3, lengths(work, 5), {"r0": 3})
    got = found.got()
    assert found.lag({"r0": 3}) <= found.longest()
    assert abs(got["r0"] / sum(got.values()) - 0.5) < 0.02
