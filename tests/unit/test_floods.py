"""Budgets and rare lines, by a clock that the test moves."""

from coordinator.replica.floods import MOST_LINES, RARE, Budget, Lines


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_budget_gives_its_burst_then_so_many_a_second_and_never_more_than_its_burst() -> None:
    clock = Clock()
    budget = Budget(10, 2, clock)
    assert sum(budget.spend() for _ in range(50)) == 10
    clock.now += 3
    assert sum(budget.spend() for _ in range(50)) == 6
    clock.now += 3600
    assert sum(budget.spend() for _ in range(50)) == 10


def test_lines_become_rare_and_all_are_counted() -> None:
    clock = Clock()
    lines = Lines(clock)
    assert sum(lines.due() for _ in range(1000)) == MOST_LINES
    clock.now += RARE
    assert sum(lines.due() for _ in range(1000)) == 1
    assert lines.count == 2000
