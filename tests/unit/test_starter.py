"""A first agents.yaml loads without a warning, whatever was found on the machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.config.fleet import parse
from coordinator.config.starter import PROGRAMS, starter


@given(st.sets(st.sampled_from([*PROGRAMS, "something-else"])))
def test_it_loads_without_a_warning_and_holds_what_was_found(found: set[str]) -> None:
    read, odd = parse(starter(found))
    assert odd == []
    assert set(read.runners) == found - {"something-else"}
    assert read.limits() == dict.fromkeys(read.runners, 1)
    assert not found & set(PROGRAMS) or read.dispatch.default_agent in found


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_runner_it_writes_starts_that_program(program: str) -> None:
    runner = parse(starter([program]))[0].runners[program]
    assert (runner.adapter or (runner.command or ())[0]) == program


def test_its_comments_are_lines_that_work_when_uncommented() -> None:
    text = starter(["claude"])
    for comment, line in [
        ("  # lease_ttl: 5m     #", "  lease_ttl: 5m     #"),
        ("  # max_attempts: 3", "  max_attempts: 3"),
        ("  # timeout_minutes: 60", "  timeout_minutes: 60"),
        ("  # my-agent: {total", "  my-agent: {total"),
        ('  # "repo:*": 2', '  "repo:*": 2'),
        ('  # "*": 20', '  "*": 20'),
        ("    # args: [--permission-mode", "    args: [--permission-mode"),
        ("    # env: [ANTHROPIC", "    env: [ANTHROPIC"),
        ("  # my-agent:\n", "  my-agent:\n"),
        ("  #   command:", "    command:"),
        ("  #   timeout:", "    timeout:"),
        ("  #   memory:", "    memory:"),
        ("  #   memory_max:", "    memory_max:"),
        ("  #   stalled:", "    stalled:"),
    ]:
        assert text.count(comment) == 1
        text = text.replace(comment, line)
    read, odd = parse(text)
    assert odd == []
    assert read.limits() == {"claude": 1, "my-agent": 5, "my-agent:big": 1, "repo:*": 2, "*": 20}
    assert read.runners["my-agent"].timeout == 3_600_000
