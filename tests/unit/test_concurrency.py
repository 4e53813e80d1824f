"""The concurrency section: the reference runner's forms, and what 0, a negative number and a contradiction mean."""

import pytest

from coordinator.config.fleet import parse
from coordinator.errors import ConfigError, Problem
from coordinator.words import pool_of


def limits(text: str) -> dict[str, int]:
    return parse(f"concurrency: {text}")[0].limits()


def problems(text: str) -> dict[str, Problem]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return {problem.field: problem for problem in caught.value.problems}


def warnings(text: str) -> dict[str, Problem]:
    return {warning.field: warning for warning in parse(text)[1]}


@pytest.mark.reference(53, "T36")
def test_a_flat_number_is_the_total_of_a_pool_or_the_limit_of_any_key() -> None:
    assert limits("{codex: 5, 'repo:*': 2, 'repo:core/go-io': 3, 'claude:opus': 1, '*': 9}") == {
        "codex": 5,
        "repo:*": 2,
        "repo:core/go-io": 3,
        "claude:opus": 1,
        "*": 9,
    }


def test_a_key_of_any_kind_and_a_default_of_any_kind_are_limits() -> None:
    said = {"org:core": 4, "label:gpu=a100": 2, "team:blue": 3, "org:*": 8, "codex:*": 1, "team:*": 0}
    text = "concurrency: {" + ", ".join(f"'{key}': {limit}" for key, limit in said.items()) + "}"
    fleet, told = parse(text)
    assert fleet.limits() == {key: limit for key, limit in said.items() if limit}
    assert [one.field for one in told] == ["concurrency.team:*"]  # 0 means no limit in a file


@pytest.mark.reference(51, 53, "T37")
def test_a_nested_pool_has_a_total_and_models() -> None:
    assert limits("{codex: {total: 5, gpt-5.4: 1, 'a/b:c': 2}}") == {"codex": 5, "codex:gpt-5.4": 1, "codex:a/b:c": 2}
    assert limits("{codex: {total: 5, gpt-5.4: 1, gpt-5.3-codex-spark: 3}}") == {
        "codex": 5,
        "codex:gpt-5.4": 1,
        "codex:gpt-5.3-codex-spark": 3,
    }


@pytest.mark.reference(52, "W21")
def test_a_pool_is_what_stands_before_the_colon_whatever_the_model_is_called() -> None:
    assert pool_of("codex:gpt-5.3-codex-spark") == "codex"
    assert pool_of("codex-spark") == "codex-spark"
    assert limits("{codex-spark: {total: 2, mini: 1}, codex: {total: 5, codex-spark: 1}}") == {
        "codex-spark": 2,
        "codex-spark:mini": 1,
        "codex": 5,
        "codex:codex-spark": 1,
    }


@pytest.mark.reference(53, 55, "T39", "T51")
@pytest.mark.parametrize(
    ("pool", "said"),
    [
        *[
            ("0", "0 means no limit here"),
            ("-3", "-3 means no limit here"),
            ("~", "an empty value means no limit here"),
        ],
        ("", "an empty value means no limit here"),
        ("{total: 0, gpt-5.4: 1}", "a total of 0 means no limit here, and its model limits do not apply"),
        ("{total: -1, gpt-5.4: 1}", "a total of -1 means no limit here, and its model limits do not apply"),
        ("{total: ~, gpt-5.4: 1}", "an empty value means no limit here, and its model limits do not apply"),
        ("{gpt-5.4: 1}", "no total means no limit here, and its model limits do not apply"),
        ("{}", "no total means no limit here"),
    ],
)
def test_no_total_means_no_limit_for_its_models_either_and_the_warning_says_how_to_close(pool: str, said: str) -> None:
    read, odd = parse(f"concurrency:\n  claude: 1\n  codex: {pool}\n")
    assert read.limits() == {"claude": 1}
    (warning,) = odd
    assert warning == Problem("concurrency.codex", said, "to close it run: coordinator limits 'codex' 0")


@pytest.mark.reference(56)
@pytest.mark.parametrize(("limit", "said"), [("0", "0"), ("-2", "-2"), ("~", "0")])
def test_a_model_limit_of_0_or_below_is_none(limit: str, said: str) -> None:
    assert limits(f"{{codex: {{total: 5, gpt-5.4: {limit}}}}}") == {"codex": 5}
    found = warnings(f"concurrency: {{codex: {{total: 5, m: 0, gpt-5.4: {limit}}}}}")["concurrency.codex.gpt-5.4"]
    assert found.problem == f"{said} means no limit here"
    assert "coordinator limits 'codex:gpt-5.4' 0" in found.fix


@pytest.mark.parametrize("key", ["'*'", "'repo:*'", "'repo:core/go-io'", "'claude:opus'"])
def test_any_key_below_0_has_no_limit(key: str) -> None:
    read, odd = parse(f"concurrency: {{{key}: -1}}")
    assert read.limits() == {}
    assert [warning.problem for warning in odd] == ["-1 means no limit here"]


@pytest.mark.reference(53, 54, "T38")
@pytest.mark.parametrize(
    "value", ["three", "true", "yes", "1.5", "'5'", "[1]", "0x10", "100000000000000", "-1" + "0" * 14]
)
def test_what_is_no_limit_is_refused_by_its_path(value: str) -> None:
    found = problems(f"concurrency:\n  claude: {value}\n  codex:\n    total: 5\n    gpt-5.4: {value}\n")
    assert list(found) == ["concurrency.claude", "concurrency.codex.gpt-5.4"]
    for problem in found.values():
        assert problem.problem.startswith("must be a whole number ")
        assert ", got " in problem.problem


@pytest.mark.reference(53)
def test_a_wrong_total_refuses_the_pool_and_its_models_are_judged_all_the_same() -> None:
    found = problems("concurrency: {codex: {total: many, gpt-5.4: [1], 'a b': 1}}")
    assert list(found) == ["concurrency.codex.total", "concurrency.codex.gpt-5.4", "concurrency.codex.a b"]


def test_a_wrong_number_is_answered_with_the_line_to_write() -> None:
    (problem,) = problems("concurrency: {codex: {total: 5, gpt-5.4: three}}").values()
    assert str(problem) == (
        "concurrency.codex.gpt-5.4: must be a whole number (0 or below: no limit), got 'three'; write gpt-5.4: 1"
    )


def test_a_model_above_its_pool_is_odd_and_two_limits_for_one_key_are_wrong() -> None:
    assert (
        "above the pool's total 2"
        in warnings("concurrency: {codex: {total: 2, big: 3}}")["concurrency.codex.big"].problem
    )
    assert (
        "another limit elsewhere: 1 and 2"
        in problems("concurrency: {codex: {total: 5, m: 1}, 'codex:m': 2}")["concurrency.codex:m"].problem
    )


@pytest.mark.parametrize("key", ["co dex", "../x", "''", "'{total: 1}'", "'repo:x y'", "'repo:*': {total"])
def test_a_key_that_no_limit_has_is_refused(key: str) -> None:
    value = " 1}" if key.endswith("total") else "1"
    assert next(iter(problems(f"concurrency: {{{key}: {value}}}"))).startswith("concurrency")
