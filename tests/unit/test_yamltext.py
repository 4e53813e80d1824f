"""YAML without surprises: nothing is guessed, nothing is dropped silently, nothing runs away."""

import re

import pytest

from coordinator.config.yamltext import read
from coordinator.errors import ConfigError, Problem

LAUGHS = "a0: &a0 [x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 4)}]\n" for n in range(1, 30))


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text, "agents.yaml")
    (problem,) = caught.value.problems
    assert problem.field == "agents.yaml"
    return f"{problem.problem}; {problem.fix}"


def test_only_whole_numbers_and_nothing_are_told_from_text() -> None:
    text = "a: 5\nb: 0755\nc: yes\nd: 16:00\ne: 1.50\nf: 2026-01-01\ng: ~\nh:\ni: '5'\nj: -3\nk: 0x10\nl: !!str 7\n"
    assert read(text, "") == (
        {
            **dict(zip("abcdef", [5, "0755", "yes", "16:00", "1.50", "2026-01-01"], strict=True)),
            **dict(zip("ghijkl", [None, None, "5", -3, "0x10", "7"], strict=True)),
        },
        [],
    )


def test_names_are_text_as_they_are_written() -> None:
    assert read("5.40: a\non: b\n1: c\n~: d\n", "")[0] == {"5.40": "a", "on": "b", "1": "c", "~": "d"}


def test_a_key_given_twice_is_a_problem_with_both_lines() -> None:
    assert read("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n", "")[1] == [
        Problem("b.c", "is given twice, in lines 3 and 4", "keep one of them"),
        Problem("a", "is given twice, in lines 1 and 5", "keep one of them"),
    ]


def test_aliases_and_merges_do_what_yaml_says() -> None:
    text = "x: &x {a: 1, b: 2}\nw: &w {a: 9, c: 3}\ny: {<<: [*x, *w], b: 4}\nz: *x\n"
    tree, problems = read(text, "")
    assert (tree["y"], tree["z"], problems) == ({"a": 1, "b": 4, "c": 3}, {"a": 1, "b": 2}, [])
    assert read("y: {<<: 3}", "")[1] == [Problem("y.<<", "must name a mapping", "write <<: *name")]


@pytest.mark.parametrize("value", ["!!python/object/apply:os.system [ls]", "!mine x", "!!int abc", "!!binary aGk="])
def test_a_tag_is_a_problem_and_never_acted_on(value: str) -> None:
    ((field, said, fix),) = read(f"a: {value}\n", "")[1]
    assert (field, fix) == ("a", "leave the tag out")
    assert said.startswith("has the tag ")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('a: "\\ud800"\n', "a"),
        ('"\\udfff": 1\n', r"'\udfff'"),
        ('a: ["x", "\\ud83d\\ude00"]\n', "a.1"),
        ('runners: {codex: {command: "\\ud800"}}\n', "runners.codex.command"),
    ],
)
def test_half_a_character_is_a_problem_where_it_stands(text: str, place: str) -> None:
    ((field, said, fix),) = read(text, "")[1]
    assert (field, said[:20], fix) == (place, "is no Unicode text: ", "write the character itself")


@pytest.mark.parametrize("key", ["[a]", "{a: b}"])
def test_a_name_that_is_no_text_is_a_problem(key: str) -> None:
    assert read(f"p:\n  ? {key}\n  : 1\n", "")[1] == [Problem("p", "line 2: a name must be text", "quote it")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold lines of 'name: value', got nothing"),
        ("# only a comment\n", "got nothing"),
        ("null\n", "got a list or a single value"),
        ("- a\n", "got a list or a single value"),
        ("hello", "got a list or a single value"),
        ("a:\n\tb: 1\n", "line 2, column 1: .*indent with spaces, not with tabs"),
        ("a: [1, 2\nb: 3\n", "line 2, column 2: "),
        ("a: 'b\n", "line 2, column 1: "),
        ("concurrency:\n  *: 3\n", r"line 2, column 4: .*write a name that begins with \* in quotes"),
        ("a: *b\n", "line 1, column 4: found undefined alias"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: .*another document"),
        ("a: &a 1\nb: &a 2\n", "line 2, column 4: found duplicate anchor"),
        ("a\0b: 1", "special characters are not allowed; save it as plain UTF-8 text"),
        ("a: \ud800", "special characters are not allowed"),
        ('a: "\\U00110000"\n', "line 1: holds a number or a character that there is not"),
        ("x" * (1024 * 1024 + 1), "is larger than 1 MiB"),
        ("[" * 5000, "is nested too deeply"),
        ("a: " + "{a: " * 5000, "is nested too deeply"),
        ("a: &a [*a]\n", "is nested too deeply"),
        ("a: 1\n" * 100_000, "holds more than 20000 values"),
        (LAUGHS, "holds more than 20000 values"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_text_that_is_no_mapping_is_one_problem(text: str, said: str) -> None:
    assert re.search(said, refused(text))
