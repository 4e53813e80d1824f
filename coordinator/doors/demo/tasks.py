"""The tasks of a demo: agents take turns, each on a package of its own."""

import collections
from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.doors.demo.plans import Plan
from coordinator.words import pool_of


@dataclass(frozen=True)
class Task:
    """One workspace to dispatch."""

    workspace: str
    agent: str
    text: str


def make_tasks(plan: Plan, count: int, packages: Sequence[str]) -> list[Task]:
    """`count` tasks in the order in which they are submitted."""
    made: list[Task] = []
    done: collections.Counter[str] = collections.Counter()
    for at in range(count):
        turn = plan.turns[at % len(plan.turns)]
        round_, which = divmod(done[turn.kind], len(packages))
        done[turn.kind] += 1
        package = packages[which]
        name = f"demo/{package}/{turn.kind}" + (f"-{round_ + 1}" if round_ else "")
        made.append(Task(name, turn.agent, turn.text.format(place=f"Lib/{package}")))
    return made


def demanded(plan: Plan, tasks: Sequence[Task]) -> dict[str, int]:
    """Limit key to the most that must have run at once under it: its limit, where the tasks are three rounds or more.

    With fewer, chance decides whether the first has ended before the last of them starts: then one is enough.
    """
    agents = collections.Counter(task.agent for task in tasks)
    found: dict[str, int] = {}
    for key, limit in plan.limits.items():
        of_key = {agent: n for agent, n in agents.items() if key in (agent, pool_of(agent))}
        if of_key:
            possible = sum(min(n, plan.limits.get(agent, n)) for agent, n in of_key.items())
            found[key] = min(limit, possible) if sum(of_key.values()) >= 3 * limit else 1
    return found
