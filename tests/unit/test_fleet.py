"""agents.yaml: what is accepted, what every mistake is called, and that no text breaks the reader."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.config.fleet import Fleet, parse
from coordinator.errors import ConfigError, Problem
from coordinator.operations.apply import Apply

EXAMPLE = Path(__file__).parents[1] / "agents.yaml"
ONE_RUNNER = "runners: {claude: {adapter: claude}}\nconcurrency: {claude: 1}\n"


def problems(text: str) -> dict[str, Problem]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return {problem.field: problem for problem in caught.value.problems}


def warnings(text: str) -> dict[str, Problem]:
    return {warning.field: warning for warning in parse(text)[1]}


def test_the_example_loads_without_a_warning() -> None:
    read, odd = parse(EXAMPLE.read_text(encoding="utf-8"))
    assert odd == []
    assert read.limits() == {
        "claude": 3,
        "codex": 5,
        "codex:gpt-5.4": 1,
        "gemini": 1,
        "reviewer": 2,
        "repo:*": 2,
        "repo:core/go-io": 4,
    }
    assert read.rates() == {
        "gemini": {
            "reset_utc": "06:00",
            "daily_limit": 0,
            "min_delay": 30_000,
            "sustained_delay": 120_000,
            "burst_window": 3 * 3_600_000,
            "burst_delay": 30_000,
        }
    }
    assert read.runners["codex"].timeout == 90 * 60_000
    assert read.runners["claude"].timeout == 45 * 60_000
    assert read.identities["ana"].roles == ("dispatch", "review")
    assert read.runners["gemini"].memory == 2 * 1024**3
    assert read.runners["reviewer"].env == {"LC_*": None, "REVIEW_DEPTH": "2"}


def test_a_pool_may_have_accounts_and_each_is_a_name() -> None:
    assert parse("accounts: {codex: [work, me@home], claude: []}")[0].accounts == {
        "codex": ["work", "me@home"],
        "claude": [],
    }
    assert parse("accounts:")[0].accounts == {}
    assert [*problems("accounts: {codex: [work, a/b], 'co dex': [a], claude: work, gemini: [5]}")] == [
        *("accounts.codex.1", "accounts.co dex", "accounts.claude", "accounts.gemini.0")
    ]
    many = ", ".join(f"a{number}" for number in range(33))
    assert [*problems(f"accounts: {{codex: [{many}]}}")] == ["accounts.codex"]


def test_settings_have_defaults_in_milliseconds_and_counts() -> None:
    assert parse("version: 1")[0].settings() == {
        "lease_ttl": 300_000,
        "beat": 10_000,
        "kill_grace": 15_000,
        "max_attempts": 3,
        "spawn_timeout": 60_000,
        "history": 30 * 86_400_000,
        "ageing": 3_600_000,
    }


def test_durations_are_go_like_texts_or_numbers_of_seconds() -> None:
    read, _ = parse(
        "dispatch: {lease_ttl: 1h30m, beat: 2, kill_grace: 1.5, spawn_timeout: 250ms, history: 90d, ageing: 20m}"
    )
    assert read.settings() | {"max_attempts": 0} == {
        "lease_ttl": 5_400_000,
        "beat": 2000,
        "kill_grace": 1500,
        "spawn_timeout": 250,
        "max_attempts": 0,
        "history": 90 * 86_400_000,
        "ageing": 1_200_000,
    }


def test_what_the_file_says_is_a_question_that_the_library_takes() -> None:
    read, _ = parse(EXAMPLE.read_text(encoding="utf-8"))
    asked = Apply.model_validate({"limits": read.limits(), "rates": read.rates(), "settings": read.settings()})
    assert asked.rates is not None
    assert asked.rates["gemini"].min_delay == 30_000
    assert asked.settings is not None
    assert asked.settings.lease_ttl == 300_000


@pytest.mark.reference(54, "W22")
def test_every_problem_is_named_at_once_by_its_path() -> None:
    found = problems(
        "version: 1\n"
        "dispatch: {default_agent: 'a b', lease_ttl: soon, beat: 0, max_attempts: 0, workspace_root: [here]}\n"
        "concurrency: {codex: [1]}\n"
        "rates: {gemini: {reset_utc: [6], min_delay: -3, daily_limit: many}}\n"
        "runners: {x: {command: run me}, y: {timeout: 0, adapter: clade}, z: {}, 'p q': {adapter: claude}}\n"
        "dispatch: {}\n"
        "agents: {ana: {active: maybe, roles: dispatch, runner: 'a b', host: [h1]}, ben: 5}\n"
    )
    assert set(found) == {
        "dispatch",
        *(f"dispatch.{name}" for name in ("default_agent", "lease_ttl", "beat", "max_attempts", "workspace_root")),
        "concurrency.codex",
        *(f"rates.gemini.{name}" for name in ("reset_utc", "min_delay", "daily_limit")),
        "runners.x.command",
        "runners.y.timeout",
        "runners.y.adapter",
        "runners.z",
        "runners.p q",
        *(f"agents.ana.{name}" for name in ("active", "roles", "runner", "host")),
        "agents.ben",
    }


def test_a_lease_below_three_beats_and_the_grace_is_refused_even_beside_other_mistakes() -> None:
    found = problems("dispatch: {lease_ttl: 44s, max_attempts: x}")
    assert str(found["dispatch.lease_ttl"]) == (
        "dispatch.lease_ttl: 44s is below 3 beats and kill_grace (45s); write lease_ttl: 45s"
    )
    assert "dispatch.max_attempts" in found
    assert parse("dispatch: {lease_ttl: 45s}")[0].settings()["lease_ttl"] == 45_000


@pytest.mark.reference(54)
@pytest.mark.parametrize("section", ["dispatch", "concurrency", "rates", "runners", "agents"])
@pytest.mark.parametrize("value", ["[1, 2]", "text", "5"])
def test_a_section_that_is_no_mapping_is_refused(section: str, value: str) -> None:
    assert problems(f"{section}: {value}")[section].problem.startswith("must be a mapping")


def test_an_empty_section_and_an_empty_value_say_nothing() -> None:
    assert parse("dispatch:\nconcurrency:\nrates:\nrunners:\nagents:\n")[0] == Fleet()
    assert (
        parse("dispatch: {default_agent: , beat: ~}\nrates: {codex: , claude: {min_delay: ~}}\n")[0]
        == parse("rates: {codex: {}, claude: {}}")[0]
    )
    assert "runners.codex" in problems("runners: {codex: }")


@pytest.mark.reference(61)
def test_unknown_keys_warn_with_a_guess_and_never_refuse() -> None:
    found = warnings(
        "concurency: {}\nx-shared: {}\ndispatch: {beet: 3}\nrates: {codex: {min_dely: 3}}\nagents: {ana: {role: []}}\n"
        "concurrency: {codex: 1}\nrunners: {codex: {adapter: codex, tiemout: 3, zzz: 1}}\n"
    )
    guesses = {field: warning.fix for field, warning in found.items() if field != "dispatch.default_agent"}
    assert guesses == {
        "concurency": "did you mean concurrency?",
        "dispatch.beet": "did you mean beat?",
        "rates.codex.min_dely": "did you mean min_delay?",
        "agents.ana.role": "did you mean roles?",
        "runners.codex.tiemout": "did you mean timeout?",
        "runners.codex.zzz": "",
    }


def test_a_default_agent_that_no_runner_serves_is_odd() -> None:
    assert "dispatch.default_agent" in warnings("dispatch: {default_agent: 'codex:gpt-5.4'}\n" + ONE_RUNNER)
    assert warnings("dispatch: {default_agent: 'claude:opus'}\n" + ONE_RUNNER) == {}
    assert list(warnings("concurrency: {codex: 1}\nrunners: {codex: {adapter: codex}}")) == ["dispatch.default_agent"]
    assert warnings("concurrency: {codex: 1}") == {}


@pytest.mark.reference("W22")
def test_a_runner_without_a_limit_is_odd() -> None:
    assert list(warnings("runners: {claude: {adapter: claude}}")) == ["runners.claude"]


def test_times_of_day_stay_text_without_quotes() -> None:
    assert parse("rates: {codex: {reset_utc: 16:00}}")[0].rates()["codex"]["reset_utc"] == "16:00"


# Any text at all.

WORDS = st.sampled_from(
    [
        *(
            "version",
            "dispatch",
            "concurrency",
            "rates",
            "runners",
            "agents",
            "claude",
            "codex",
            "total",
            "beat",
            "lease_ttl",
        ),
        *("command", "adapter", "env", "stdin", "args", "timeout", "reset_utc", "min_delay", "memory"),
        *(
            "1",
            "0",
            "-1",
            "5m",
            "true",
            "null",
            "~",
            "1.5",
            "'*'",
            "''",
            "'{task}'",
            "'{tsk}'",
            "<<",
            "sh",
            "-c",
            "&a",
            "*a",
        ),
    ]
)
VALUES = st.recursive(
    WORDS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(WORDS, inner), max_size=4).map(
            lambda pairs: f"{{{', '.join(f'{k}: {v}' for k, v in pairs)}}}"
        )
    ),
    max_leaves=20,
)
LINES = st.lists(st.tuples(WORDS, VALUES)).map(lambda lines: "".join(f"{name}: {value}\n" for name, value in lines))


@given(st.text() | VALUES | LINES)
def test_any_text_is_a_fleet_or_a_list_of_problems(text: str) -> None:
    read: Fleet | None = None
    said: list[Problem] = []
    try:
        read, said = parse(text)
    except ConfigError as error:
        said = error.problems
    assert read is not None or said
    for problem in said:
        assert problem.field
        assert problem.problem
        assert str(problem).isprintable()
    assert read is None or all(limit > 0 for limit in read.limits().values())


def test_a_root_with_a_nul_is_no_path() -> None:
    assert problems('dispatch: {workspace_root: "/a\\0b"}')["dispatch.workspace_root"].problem == (
        "must not hold a NUL character, got '/a\\x00b'"
    )
