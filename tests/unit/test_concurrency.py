"""The concurrency section: the reference runner's forms, and what 0, a negative number and a contradiction mean."""

import pytest

from coordinator.config.fleet import parse
from coordinator.errors import ConfigError, Problem


def limits(text: str) -> dict[str, int]:
    return parse(f"concurrency: {text}")[0].limits()


def problems(text: str) -> dict[str, Problem]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return {problem.field: problem for problem in caught.value.problems}


def warnings(text: str) -> dict[str, Problem]:
    return {warning.field: warning for warning in parse(text)[1]}


def test_a_flat_number_is_the_total_of_a_pool_or_the_limit_of_any_key() -> None:
    assert limits("{codex: 5, 'repo:*': 2, 'repo:core/go-io': 3, 'claude:opus': 1, '*': 9}") == {
        "codex": 5,
        "repo:*": 2,
        "repo:core/go-io": 3,
        "claude:opus": 1,
        "*": 9,
    }


def test_a_nested_pool_has_a_total_and_models() -> None:
    assert limits("{codex: {total: 5, gpt-5.4: 1, 'a/b:c': 2}}") == {"codex": 5, "codex:gpt-5.4": 1, "codex:a/b:c": 2}


@pytest.mark.parametrize("pool", ["0", "{total: 0, gpt-5.4: 1}", "{gpt-5.4: 1}", "{}"])
def test_no_total_means_no_limit_for_its_models_either_and_the_warning_says_how_to_close(pool: str) -> None:
    read, odd = parse(f"concurrency: {{codex: {pool}, claude: 1}}")
    assert read.limits() == {"claude": 1}
    (warning,) = odd
    assert warning.field == "concurrency.codex"
    assert "means no limit" in warning.problem
    assert warning.fix == "to close it run: coordinator limits 'codex' 0"
    assert ("model limits do not apply" in warning.problem) == ("gpt" in pool)


def test_a_model_limit_of_0_is_none() -> None:
    assert limits("{codex: {total: 5, gpt-5.4: 0}}") == {"codex": 5}
    assert (
        "coordinator limits 'codex:gpt-5.4' 0"
        in warnings("concurrency: {codex: {total: 5, m: 0, gpt-5.4: 0}}")["concurrency.codex.gpt-5.4"].fix
    )


@pytest.mark.parametrize("value", ["-1", "three", "true", "yes", "1.5", "'5'", "[1]", "", "0x10", "100000000000000"])
def test_what_is_no_limit_is_refused_by_its_path(value: str) -> None:
    found = problems(f"concurrency:\n  claude: {value}\n  codex:\n    total: 5\n    gpt-5.4: {value}\n")
    assert list(found) == ["concurrency.claude", "concurrency.codex.gpt-5.4"]
    for problem in found.values():
        assert problem.problem.startswith("must be a whole number ")
        assert ", got " in problem.problem


def test_a_wrong_number_is_answered_with_the_line_to_write() -> None:
    (problem,) = problems("concurrency: {codex: {total: 5, gpt-5.4: three}}").values()
    assert str(problem) == (
        "concurrency.codex.gpt-5.4: must be a whole number of at least 0, got 'three'; write gpt-5.4: 1"
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
