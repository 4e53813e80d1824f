"""The runners section: argument lists and never a shell text, and what else is refused or odd."""

import pytest

from coordinator.config.fleet import parse
from coordinator.errors import ConfigError, Problem


def problems(runner: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        parse(f"runners: {{x: {runner}}}")
    return caught.value.problems


def odd(runner: str) -> list[Problem]:
    return parse(f"concurrency: {{x: 1}}\ndispatch: {{default_agent: x}}\nrunners: {{x: {runner}}}")[1]


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("codex exec -", "write command: [codex, exec, '-']"),
        ("run --say 'two words' {task}", "write command: [run, --say, 'two words', '{task}']"),
        ("cat a | wc", "write command: [sh, -c, 'cat a | wc']"),
        ("it's", "write command: ['it''s']"),
    ],
)
def test_a_shell_text_is_refused_and_shown_as_a_list_that_would_do(text: str, fix: str) -> None:
    quoted = "'" + text.replace("'", "''") + "'"
    (problem,) = problems(f"{{command: {quoted}}}")
    assert problem.field == "runners.x.command"
    assert problem.problem.startswith("must be a list of arguments, not one shell text")
    assert problem.fix == fix
    parse(f"runners: {{x: {{{fix.removeprefix('write ')}}}}}")


@pytest.mark.parametrize(
    ("runner", "field", "said"),
    [
        ("{adapter: claude, command: [x]}", "runners.x", "both a command and an adapter"),
        ("{}", "runners.x", "neither a command nor an adapter"),
        ("{command: }", "runners.x", "neither a command nor an adapter"),
        ("{command: []}", "runners.x.command", "must name a program"),
        ("{command: ['']}", "runners.x.command", "must begin with a program"),
        ("{command: ['{model}']}", "runners.x.command", "must begin with a fixed program"),
        ("{command: ['{dir}/run']}", "runners.x.command", "must begin with a fixed program"),
        ("{command: [a, [b]]}", "runners.x.command.1", "must be text"),
        ('{command: [a, "b\\0"]}', "runners.x.command.1", "NUL"),
        ("{command: {a: b}}", "runners.x.command", "must be a list"),
        ("[a, b]", "runners.x", "must be a mapping"),
        ("{adapter: cladue}", "runners.x.adapter", "did you mean claude?"),
        ("{adapter: aider}", "runners.x.adapter", "write a command"),
        ("{command: [x], args: one}", "runners.x.args", "must be a list"),
        ("{command: [x], stdin: tasks}", "runners.x.stdin", "must be task, none or a text with a placeholder"),
        ("{command: [x], timeout: 0}", "runners.x.timeout", "must be at least 100ms"),
        ("{command: [x], timeout: soon}", "runners.x.timeout", "must be a duration such as 90s"),
        ("{command: [x], memory: much}", "runners.x.memory", "must be a size such as 512M"),
        ("{command: [x], memory_max: 0}", "runners.x.memory_max", "must be a size such as 512M"),
        ("{command: [x], log_max: 1K}", "runners.x.log_max", "must be at least 131072 bytes"),
        ("{command: [x], log_full: stop}", "runners.x.log_full", "should be 'cut' or 'end'"),
        ("{command: [x], stalled: 0}", "runners.x.stalled", "must be at least 100ms"),
        ("{command: [x], env: [A=b]}", "runners.x.env", "write A: b"),
        ("{command: [x], env: ['*']}", "runners.x.env", "is not the name of a variable"),
        ("{command: [x], env: {'A*': b}}", "runners.x.env", "is not the name of a variable"),
        ("{command: [x], env: 5}", "runners.x.env", "must be names to pass through"),
        ("{command: [x], env: {A: [b]}}", "runners.x.env.A", "must be text"),
    ],
)
def test_a_wrong_runner_is_named_by_its_path(runner: str, field: str, said: str) -> None:
    (problem,) = problems(runner)
    assert problem.field == field
    assert said in str(problem)


def test_a_runner_of_a_known_pool_is_told_its_adapter() -> None:
    with pytest.raises(ConfigError, match=r"runners\.codex: has neither .*; write adapter: codex"):
        parse("runners: {codex: {timeout: 5m}}")


def test_plain_numbers_and_truths_are_arguments_as_they_are_written() -> None:
    read = parse("runners: {x: {command: [sleep, 5, 0755, 1.50, true, yes, 16:00, -3]}}")[0]
    assert read.runners["x"].command == ("sleep", "5", "0755", "1.50", "true", "yes", "16:00", "-3")


def test_a_mistyped_placeholder_is_odd_and_other_braces_are_not() -> None:
    (warning,) = odd("""{command: [a, '{tsk}', '{"json": {}}', '{elephant}']}""")
    assert str(warning) == "runners.x.command.1: {tsk} is no placeholder and stays as it is; did you mean {task}?"
    (warning,) = odd("{command: [a], stdin: '{task} in {rpo}'}")
    assert warning.field == "runners.x.stdin"


@pytest.mark.parametrize("command", ["[sh, -c, 'run {task}']", "[/bin/bash, -lc, 'git switch {branch}']"])
def test_free_text_inside_a_shells_text_is_odd(command: str) -> None:
    (warning,) = odd(f"{{command: {command}}}")
    assert warning.field == "runners.x.command.2"
    assert warning.problem.startswith("the shell would run what {")


def test_free_text_as_a_shells_argument_is_fine() -> None:
    assert odd("""{command: [sh, -c, 'run "$1"', sh, '{task}']}""") == []
