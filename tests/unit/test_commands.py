"""From a runner to a process: arguments, stdin and environment."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.config.runners import ADAPTERS, PLACEHOLDERS, Runner
from coordinator.errors import WorkerError
from workers.agents.builtin import COMMANDS
from workers.agents.commands import argv, environment, stdin_text

VALUES = {name: f"<{name}>" for name in PLACEHOLDERS}


def runner(**fields: object) -> Runner:
    return Runner.model_validate({"command": ["agent"]} | fields)


def test_every_placeholder_is_replaced_in_every_argument() -> None:
    asked = runner(command=["agent", *(f"--{name}={{{name}}}" for name in PLACEHOLDERS)], args=["{task}{repo}"])
    assert argv(asked, VALUES) == ("agent", *(f"--{name}=<{name}>" for name in PLACEHOLDERS), "<task><repo>")


def test_a_placeholder_without_a_value_is_empty() -> None:
    assert argv(runner(args=["-m{model}"]), {}) == ("agent", "-m")


PIECES = st.lists(
    st.sampled_from(["{", "}", "{}", "{{", "}}", "{Task}", '{"task": 1}', "{x}", "{0}", "%s", "\\1", "$a"])
)


@given(PIECES, st.text(st.characters(exclude_characters="\0", codec="utf-8")))
def test_other_braces_and_what_values_hold_stay_as_they_are(pieces: list[str], inside: str) -> None:
    around = "".join(pieces)
    values = {"task": f"{{repo}}{inside}{{repo}}", "repo": "never"}
    asked = runner(args=[around, "{task}", f"{around}{{task}}{around}"])
    assert argv(asked, values)[1:] == (around, values["task"], f"{around}{values['task']}{around}")


@pytest.mark.parametrize("task", ["a\0b", "x" * 128 * 1024, "é" * 64 * 1024])
def test_a_task_that_no_argument_can_carry_says_so_and_goes_through_stdin(task: str) -> None:
    with pytest.raises(WorkerError, match=r"argument 1 of 'agent' .*; let the runner take the task on stdin"):
        argv(runner(args=["{task}"]), {"task": task})
    assert stdin_text(runner(), {"task": task}) == task


def test_the_longest_argument_we_allow_is_one_that_the_system_takes() -> None:
    echo = runner(command=[sys.executable, "-c", "import sys; print(len(sys.argv[1]))", "{task}"])
    command = argv(echo, {"task": "x" * (128 * 1024 - 1)})
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"131071\n"


# stdin


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "<task>"),
        ({"args": ["{task}"]}, ""),
        ({"args": ["{repo}"]}, "<task>"),
        ({"args": ["{task}"], "stdin": "task"}, "<task>"),
        ({"stdin": "none"}, ""),
        ({"stdin": "In {repo}: {task} {x}"}, "In <repo>: <task> {x}"),
        ({"command": None, "adapter": "claude", "args": ["--note={task}"]}, "<task>"),
    ],
)
def test_the_task_comes_on_stdin_unless_an_argument_uses_it(fields: dict[str, object], expected: str) -> None:
    assert stdin_text(runner(**fields), VALUES) == expected


# Environment


def test_an_agent_sees_the_usual_variables_and_no_secret() -> None:
    usual = {"PATH": "/bin", "HOME": "/h", "LC_ALL": "C.UTF-8", "TZ": "UTC", "SSL_CERT_FILE": "/c"}
    other = {
        "AWS_SECRET_ACCESS_KEY": "s",
        "REDIS_URL": "redis://:s@h",
        "CLAUDECODE": "1",
        "TERM": "xterm",
        "LANGUAGE": "de",
    }
    assert environment(runner(), usual | other) == usual | {"TERM": "dumb", "NO_COLOR": "1", "CI": "true"}


def test_a_runner_adds_variables_by_name_by_prefix_and_by_value() -> None:
    host = {"API_KEY": "k", "AWS_A": "1", "AWS_B": "2", "TERM": "xterm", "OTHER": "x"}
    asked = runner(env=["API_KEY", "AWS_*", "TERM", "ABSENT", {"DEPTH": 2, "CI": "", "AWS_B": "mine"}])
    named = {"API_KEY": "k", "AWS_A": "1", "AWS_B": "mine", "TERM": "xterm"}
    assert environment(asked, host) == named | {"NO_COLOR": "1", "CI": "", "DEPTH": "2"}


def test_what_a_runner_sets_and_says_may_hold_the_account_of_the_run() -> None:
    asked = runner(
        command=["agent", "--as", "{account}"],
        env={"HOME_OF": "/h/{account}/x", "TASK": "{task}{account}", "PATH": None},
    )
    set_by_it = environment(asked, {"PATH": "/bin"}, "work")
    assert {name: set_by_it[name] for name in asked.env} == {
        "HOME_OF": "/h/work/x",
        "TASK": "{task}work",  # the account alone
        "PATH": "/bin",
    }
    assert environment(asked, {})["HOME_OF"] == "/h//x"
    assert argv(asked, {"account": "work"}) == ("agent", "--as", "work")
    assert argv(asked, {}) == ("agent", "--as", "")


def test_the_environment_is_one_that_a_process_takes() -> None:
    script = "import os; print(os.environ['CI'], os.environ.get('PYTEST_CURRENT_TEST'))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(runner(), os.environ), capture_output=True, check=True
    )
    assert done.stdout == b"true None\n"


# Adapters


def test_there_is_a_command_for_every_adapter_that_a_file_may_name() -> None:
    assert set(COMMANDS) == set(ADAPTERS)


def test_adapters_name_the_model_only_when_there_is_one() -> None:
    for name in ADAPTERS:
        asked = runner(command=None, adapter=name)
        plain = argv(asked, VALUES | {"model": ""})
        assert plain[0] == name
        with_model = argv(asked, VALUES | {"model": "big-1"})
        assert set(with_model) - set(plain) <= {"big-1", "-m", "--model"}
        assert with_model[with_model.index("big-1") - 1] in {"-m", "--model"}
        assert not any("<task>" in argument for argument in with_model), "the prompt is not for `ps` to show"


@pytest.mark.parametrize(
    ("adapter", "ours", "theirs"),
    [
        ("claude", "acceptEdits", ["--permission-mode", "plan"]),
        ("claude", "acceptEdits", ["--dangerously-skip-permissions"]),
        ("codex", "workspace-write", ["--sandbox=read-only"]),
        ("gemini", "yolo", ["--approval-mode", "auto_edit"]),
    ],
)
def test_an_operators_option_replaces_the_adapters_own(adapter: str, ours: str, theirs: list[str]) -> None:
    assert ours in argv(runner(command=None, adapter=adapter), VALUES)
    replaced = argv(runner(command=None, adapter=adapter, args=theirs), VALUES)
    assert ours not in replaced
    assert " ".join(theirs) in " ".join(replaced)


def test_codex_reads_the_prompt_from_stdin_as_its_last_argument() -> None:
    assert argv(runner(command=None, adapter="codex", args=["--ephemeral"]), VALUES)[-2:] == ("--ephemeral", "-")
