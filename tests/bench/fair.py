"""What each repo gets of ten slots: one with 500 workspaces was first, nine with 5 each came after it.

`python -m tests.bench.fair [SEEDS]`: the verbs alone, in simulated time; run lengths of a heavy tail, ten minutes on
average. While all have work waiting (`min`), every repo's slot-seconds shall be within 5 % of the whole of its fair
share (`apart %`), or at every moment within the longest run (`in runs`). And each of the nine shall have finished
within 1.2 times what it needs on its fair share alone: its slots for itself, so the sum of its runs by its slots, or
its longest run (`finish`: the worst; below 1 where shares grew as others had finished). `by hindsight` is the same
workload under a plain rule that gives each slot to whoever had least so far: without cutting runs short there is
hardly better.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from coordinator.operations import Apply
from tests.model import build
from tests.model.world import World
from tests.servers import REDIS, Servers
from tests.simulated import MEAN, Host, Lengths, Played, Work, lengths, played, simulate

ONE: Final = (Host("h1", 10),)
TWO: Final = (Host("h1", 5), Host("h2", 5))
SEVEN: Final = (Host("h1", 4), Host("h2", 3))
BOTH: Final = (Host("h1", 5, ("codex", "claude")), Host("h2", 5, ("codex", "claude")))
ROOMY: Final = (Host("h1", 10), Host("h2", 10))


def crowd(big: int = 500, small: int = 5, *, pools: tuple[str, ...] = ("codex",)) -> tuple[Work, ...]:
    repos = [Work("big", big, pools[0])]
    repos += [Work(f"small{number}", small, pools[number % len(pools)]) for number in range(1, 10)]
    return tuple(repos)


def late(small: int = 30) -> tuple[Work, ...]:
    """Alone for two hours; then the others come, who are paid nothing for their absence."""
    return Work("big", 500), *(Work(f"small{number}", small, after=7_200_000) for number in range(1, 10))


def even(each: int = 60) -> tuple[Work, ...]:
    return tuple(Work(f"even{number}", each) for number in range(10))


def unlike() -> tuple[Work, ...]:
    """Five repos whose runs are ten times as long as those of the others: each is to have as much time, not as many."""
    short = [Work(f"short{number}", 200, mean=MEAN // 4) for number in range(5)]
    return *short, *(Work(f"long{number}", 20, mean=MEAN * 5 // 2) for number in range(5))


Scene = tuple[tuple[Work, ...], tuple[Host, ...], dict[str, int], dict[str, float]]
SCENES: Final[dict[str, Scene]] = {
    "500 against 9 x 5, one host": (crowd(), ONE, {}, {}),
    "500 against 9 x 5, two hosts": (crowd(), TWO, {}, {}),
    "500 against 9 x 5, the pool's limit is 10": (crowd(), ROOMY, {"codex": 10}, {}),
    "500 against 9 x 50, two hosts": (crowd(small=50), TWO, {}, {}),
    "500 alone for 2 h, then 9 x 30": (late(), TWO, {}, {}),
    "10 x 60, two hosts": (even(), TWO, {}, {}),
    "10 x 60, seven slots": (even(), SEVEN, {}, {}),
    "5 x 200 short against 5 x 20 long, seven slots": (unlike(), SEVEN, {}, {}),
    "500 against 9 x 5, two pools": (crowd(pools=("codex", "claude")), BOTH, {}, {}),
    "500 against 9 x 50, two pools": (crowd(small=50, pools=("codex", "claude")), BOTH, {}, {}),
    "500 of weight 11 against 9 x 50": (crowd(small=50), TWO, {}, {"big": 11}),
    "10 x 60, weights 1 and 3": (even(), TWO, {}, {f"even{number}": 3 for number in range(5)}),
}


def weigh(weights: Mapping[str, float]) -> Callable[[World], Any]:
    """Weights are of limit keys."""
    if not weights:
        return lambda _: None
    named = {f"repo:{repo}": int(weight) for repo, weight in weights.items()}
    return lambda world: world.ask(Apply.model_validate({"weights": named}))


def apart(one: Played, weights: Mapping[str, float]) -> tuple[float, float]:
    """How far from fair, in hundredths of all slot-seconds while all had work; and, at worst, in longest runs."""
    got, total = one.got(), sum(weights.get(repo, 1) for repo in one.emptied)
    everything = max(sum(got.values()), 1)
    share = max(abs(ms / everything - weights.get(repo, 1) / total) for repo, ms in got.items())
    return 100 * share, one.lag(weights) / one.longest()


def finish(one: Played, took: Lengths, slots: int, weights: Mapping[str, float]) -> float:
    """The worst of those that have little, in times of what their fair share would need."""
    total = sum(weights.get(repo, 1) for repo in took)
    worst = 0.0
    for repo, runs in took.items():
        if repo != "big":
            need = max(sum(runs) * total / weights.get(repo, 1) / slots, *runs)
            came = one.since if repo.startswith("small") else 0
            worst = max(worst, (one.finished(repo) - came) / need)
    return worst


def line(name: str, one: Played, took: Lengths, slots: int, weights: Mapping[str, float]) -> str:
    (share, runs), worst = apart(one, weights), finish(one, took, slots, weights)
    fair = (share <= 5 or runs <= 1) and worst <= 1.2
    minutes = (one.until - one.since) / 60_000
    return f"  {name:<14} {minutes:>6.0f} {share:>8.1f} {runs:>8.2f} {worst:>7.2f} {'' if fair else 'no':>3}"


def shares(one: Played) -> str:
    got = one.got()
    everything = max(sum(got.values()), 1)
    return " ".join(f"{100 * ms / everything:.0f}" for ms in got.values())


def main(seeds: int) -> None:
    servers = Servers()
    try:
        for name, (work, hosts, limits, weights) in SCENES.items():
            print(f"{name}\n  {'':<14} {'min':>6} {'apart %':>8} {'in runs':>8} {'finish':>7}")
            if weights and "weights" not in Apply.model_fields:
                print("  skipped: apply takes no weights")
                continue
            for seed in range(1, seeds + 1):
                took = lengths(work, seed)
                slots = min(sum(host.slots for host in hosts), *limits.values(), 100)
                world = World(REDIS, servers, build.text())
                found = simulate(world, work, hosts, took, limits=limits, setting=weigh(weights))
                world.close()
                print(line(f"seed {seed}", found, took, slots, weights), f" % of each: {shares(found)}")
                print(line("by hindsight", played(work, slots, took, weights), took, slots, weights))
    finally:
        servers.stop()


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["3"])[0]))
