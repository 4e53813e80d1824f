"""Files of the reference runner's users work unchanged: every key, every form, every number it is known to ship."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.config.dispatching import Dispatch, Rates
from coordinator.config.fleet import parse
from coordinator.config.identities import Identity
from coordinator.config.measures import written
from coordinator.config.resets import clock
from coordinator.config.runners import Runner
from coordinator.errors import ConfigError, Problem

HOUR = 3_600_000

SHIPPED = """\
version: 1
dispatch:
  default_agent: claude
  default_template: coding
  workspace_root: ~/Code/.core/workspace
  timeout_minutes: 60
concurrency:
  claude: 5
  gemini: 1
  codex: 1
  local: 1
  opencode: {total: 3, opencode-go/deepseek-v4-pro: 1}
rates:
  gemini: {reset_utc: "06:00", daily_limit: 0, min_delay: 30, sustained_delay: 120, burst_window: 3, burst_delay: 30}
  claude: {reset_utc: "00:00", daily_limit: 0, min_delay: 0, sustained_delay: 0, burst_window: 0, burst_delay: 0}
  codex: {reset_utc: "00:00", daily_limit: 0, min_delay: 60, sustained_delay: 300, burst_window: 0, burst_delay: 60}
  coderabbit: {min_delay: 300, sustained_delay: 450, burst_delay: 300}
  opencode: {min_delay: 5, sustained_delay: 20}
agents:
  ana: {host: localhost, runner: claude, active: true, roles: [dispatch, worker, review]}
  ben: {host: 10.0.0.7, runner: codex, active: false, roles: [qa, plan]}
"""


def warnings(text: str) -> list[Problem]:
    return parse(text)[1]


@pytest.mark.reference(61, 62, "T62")
def test_in_a_file_with_every_known_key_and_number_nothing_is_odd() -> None:
    read, odd = parse(SHIPPED)
    assert odd == []
    pools = {"claude": 5, "gemini": 1, "codex": 1, "local": 1, "opencode": 3}
    assert read.limits() == pools | {"opencode:opencode-go/deepseek-v4-pro": 1}
    rates = read.rates()
    order = ("reset_utc", "daily_limit", "min_delay", "sustained_delay", "burst_window", "burst_delay")
    assert {pool: tuple(rates[pool][name] for name in order) for pool in rates} == {
        "gemini": ("06:00", 0, 30_000, 120_000, 3 * HOUR, 30_000),
        "claude": ("00:00", 0, 0, 0, 0, 0),
        "codex": ("00:00", 0, 60_000, 300_000, 0, 60_000),
        "coderabbit": ("06:00", 0, 300_000, 450_000, 0, 300_000),
        "opencode": ("06:00", 0, 5000, 20_000, 0, 0),
    }
    ana, ben = (read.identities[name] for name in ("ana", "ben"))
    assert (ana.host, ana.runner, ana.active, ana.roles) == (
        *("localhost", "claude", True),
        ("dispatch", "worker", "review"),
    )
    assert (ben.host, ben.active, ben.roles) == ("10.0.0.7", False, ("qa", "plan"))


@pytest.mark.parametrize("runners", ["", "runners: {codex: {adapter: codex}}"])
def test_a_default_agent_that_no_host_could_start_is_odd(runners: str) -> None:
    agent = "claude:opus" if runners else "local"
    (odd,) = [one for one in warnings(f"dispatch: {{default_agent: {agent}}}\n{runners}") if "default" in one.field]
    assert odd.problem == f"no runner of this host serves {agent}"


@pytest.mark.reference(43, 61)
@pytest.mark.parametrize("root", [".core/workspace", "workspace", "./x", "~bob/x", "."])
def test_a_relative_workspace_root_is_read_and_used_for_nothing_as_there(root: str) -> None:
    read, (odd,) = parse(f"version: 1\ndispatch: {{default_template: coding, workspace_root: {root}}}")
    assert read.dispatch.workspace_root is None
    assert str(odd) == (
        f"dispatch.workspace_root: '{root}' is no absolute path: $CORE_WORKSPACE/workspace is used, "
        "else ~/Code/.core/workspace; leave it out, or write it like ~/Code/.core/workspace"
    )


@pytest.mark.reference(61)
def test_an_empty_text_says_nothing() -> None:
    read, odd = parse(
        "dispatch: {default_agent: '', workspace_root: '', default_template: ''}\nagents: {ana: {runner: ''}}"
    )
    assert (read.dispatch, odd) == (Dispatch(), [])
    assert read.identities == {"ana": Identity()}


@pytest.mark.reference(62)
@pytest.mark.parametrize("total", [3, 5])
def test_claude_had_3_and_then_5(total: int) -> None:
    text = f"concurrency: {{claude: {total}, gemini: 1, codex: 1, local: 1}}"
    assert parse(text) == (parse(text)[0], [])
    assert parse(text)[0].limits()["claude"] == total


@pytest.mark.reference(53, 63, 65, "T65")
def test_a_whole_file_with_the_nested_form() -> None:
    read, odd = parse(
        "version: 1\n"
        "concurrency: {claude: 3, codex: {total: 5, gpt-5.4: 1}}\n"
        "rates: {gemini: {reset_utc: '06:00', sustained_delay: 120}}\n"
    )
    assert odd == []
    assert read.limits() == {"claude": 3, "codex": 5, "codex:gpt-5.4": 1}
    assert read.rates()["gemini"]["sustained_delay"] == 120_000


@pytest.mark.reference(63)
@pytest.mark.parametrize(
    ("codex", "limits"),
    [
        ("{total: 5, gpt-5.4: 1}", {"codex": 5, "codex:gpt-5.4": 1}),
        (
            "{total: 5, gpt-5.4: 1, gpt-5.3-codex-spark: 3}",
            {"codex": 5, "codex:gpt-5.4": 1, "codex:gpt-5.3-codex-spark": 3},
        ),
        (
            "{total: 2, gpt-5.4: 1, gpt-5.3-codex-spark: 1}",
            {"codex": 2, "codex:gpt-5.4": 1, "codex:gpt-5.3-codex-spark": 1},
        ),
    ],
)
def test_the_documented_nested_forms(codex: str, limits: dict[str, int]) -> None:
    read, odd = parse(f"concurrency: {{claude: 1, codex: {codex}, gemini: 3}}")
    assert (read.limits(), odd) == ({"claude": 1, "gemini": 3} | limits, [])


RESETS = [
    *[("6", "06:00"), ("23", "06:00"), ("''", "06:00"), ("", "06:00"), ("~", "06:00"), ("soon", "06:00")],
    *[("'xx:30'", "06:30"), ("'6:xx'", "06:00"), ("'23:'", "23:00"), ("':45'", "06:45"), ("':'", "06:00")],
    *[("' 7 : 15 '", "07:15"), ("' 06:00'", "06:00"), ("'+7:05'", "07:05"), ("'7:5'", "07:05")],
    *[("25:00", "01:00"), ("06:75", "07:15"), ("24:00", "00:00"), ("23:60", "00:00"), ("48:1440", "00:00")],
    *[("'-1:30'", "23:30"), ("'0:-15'", "23:45"), ("'06:30:59'", "06:30"), ("'9999999999999999999:30'", "06:30")],
    *[("'7.5:30'", "06:30"), ("'\u0667:30'", "06:30")],
]


@pytest.mark.reference(65)
@pytest.mark.parametrize(("written", "taken"), RESETS)
def test_an_odd_reset_is_read_as_the_reference_runner_reads_it_and_said_so(written: str, taken: str) -> None:
    read, odd = parse(f"rates:\n  codex:\n    reset_utc: {written}\n")
    assert read.rates()["codex"]["reset_utc"] == taken
    (warning,) = odd
    assert warning.field == "rates.codex.reset_utc"
    assert warning.problem.endswith(f" is taken as {taken}")
    assert warning.fix == f'write "{taken}"'


@pytest.mark.reference(65)
@pytest.mark.parametrize(("written", "taken"), [("'06:00'", "06:00"), ("16:05", "16:05"), ("6:30", "06:30")])
def test_a_plain_reset_is_kept_and_an_absent_one_is_six(written: str, taken: str) -> None:
    read, odd = parse(f"rates: {{codex: {{reset_utc: {written}}}, claude: {{}}}}")
    assert (read.rates()["codex"]["reset_utc"], read.rates()["claude"]["reset_utc"], odd) == (taken, "06:00", [])


@pytest.mark.parametrize("value", ["[6, 0]", "{hour: 6}"])
def test_a_reset_that_is_no_text_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"rates.codex.reset_utc: must be a time of day in UTC such as 06:00, got "):
        parse(f"rates: {{codex: {{reset_utc: {value}}}}}")


@given(st.text(max_size=20) | st.integers())
def test_any_text_is_a_time_of_day(value: str | int) -> None:
    taken = clock(value)
    hour, minute = taken.split(":")
    assert (len(hour), len(minute), int(hour) < 24, int(minute) < 60) == (2, 2, True, True)
    assert clock(taken) == taken


@pytest.mark.reference(64, 70)
@pytest.mark.parametrize(
    ("rates", "named"),
    [
        ("{min_delay: 5}", "min_delay"),
        ("{burst_delay: 5, sustained_delay: 0}", "burst_delay"),
        ("{min_delay: 5, burst_delay: 5}", "min_delay and burst_delay"),
    ],
)
def test_delays_without_a_sustained_delay_pace_nothing_and_said_so(rates: str, named: str) -> None:
    (warning,) = warnings(f"rates: {{codex: {rates}}}")
    assert warning.field == "rates.codex.sustained_delay"
    assert warning.problem == f"without sustained_delay there is no pacing, whatever {named} say"
    assert warnings("rates: {codex: {sustained_delay: 5, min_delay: 3, burst_delay: 1}, claude: {}}") == []


@pytest.mark.reference(61)
def test_containers_are_known_and_do_nothing_here_said_once() -> None:
    (warning,) = warnings("dispatch: {runtime: docker, image: core-dev, gpu: true}")
    assert str(warning) == (
        "dispatch.runtime: runtime, image and gpu do nothing here: agents run as plain processes of this host; "
        "put the container command into runners"
    )
    (warning,) = warnings("dispatch: {gpu: false}")
    assert warning.field == "dispatch.gpu"
    assert warning.problem.startswith("does nothing here: ")


@pytest.mark.parametrize(
    ("minutes", "expected"), [("", 3_600_000), ("timeout_minutes: 5", 300_000), ("timeout_minutes: 0", None)]
)
@pytest.mark.reference(61)
def test_the_time_limit_of_runners_that_name_none(minutes: str, expected: int | None) -> None:
    runners = "a: {command: [x]}, b: {command: [x], timeout: 90s}, c: {command: [x], timeout: ~}"
    read, _ = parse(f"dispatch: {{{minutes}}}\nrunners: {{{runners}}}")
    assert {pool: runner.timeout for pool, runner in read.runners.items()} == {
        "a": expected,
        "b": 90_000,
        "c": expected,
    }


@pytest.mark.parametrize("minutes", ["-5", "soon", "1.5", "90m"])
def test_timeout_minutes_are_whole_minutes(minutes: str) -> None:
    with pytest.raises(ConfigError, match=r"dispatch.timeout_minutes: must be a whole number of at least 0"):
        parse(f"dispatch: {{timeout_minutes: {minutes}}}")


@pytest.mark.reference(54, "T64", "W22")
@pytest.mark.parametrize("text", ["concurrency: {claude: [", "concurrency: {claude: [1]}", "\t", "- claude"])
def test_a_broken_file_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)


def test_the_document_has_every_key_with_its_default() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
    lines = text.partition("## agents.yaml")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| `")]
    told = {name: row[2] for row in rows for name in re.findall(r"`([^`]*)`", row[0])}
    defaults = Dispatch().settings()
    for name in Dispatch.model_fields:
        assert {name, f"dispatch.{name}"} & set(told), name
        if name in defaults:
            assert told[f"dispatch.{name}"] == (
                str(defaults[name]) if name == "max_attempts" else written(defaults[name])
            )
    for name, field in Rates.model_fields.items():
        assert told[f"rates.<pool>.{name}"].partition(":")[0] == str(field.default).partition(":")[0], name
    for name in Runner.model_fields:
        assert {name, f"runners.<pool>.{name}"} & set(told), name
    for name in Identity.model_fields:
        assert f"`{name}`" in text
