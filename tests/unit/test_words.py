"""Names, numbers and words: what is a name is the same for the types as for a plain reading of the rule."""

import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from coordinator import words

ALNUM = set(string.ascii_letters + string.digits)


def _part(text: str, more: str, first: str = "") -> bool:
    return bool(text) and text[0] in ALNUM | set(first) and set(text) <= ALNUM | set(more)


def is_workspace(text: str) -> bool:
    first, *rest = text.split("/")
    return (
        len(text) <= 200
        and _part(first, "._+@#=,-")
        and all(_part(part, "._+@#=,-", first="_.") and set(part) != {"."} for part in rest)
    )


def is_agent(text: str) -> bool:
    base, colon, model = text.partition(":")
    return len(text) <= 100 and _part(base, "._-") and (_part(model, "._:/@+-") if colon else True)


def is_limit_key(text: str) -> bool:
    return text == "*" or (len(text) <= 160 and _part(text, "._:/@+*=-") and not text.startswith("accounts:"))


def is_branch(text: str) -> bool:
    return (
        1 <= len(text.encode()) <= 200
        and not text.startswith("-")
        and ".." not in text
        and not any(ord(letter) <= 32 or ord(letter) == 127 for letter in text)
    )


RULES: dict[str, tuple[Any, Callable[[str], bool], str, int]] = {
    "workspace": (words.WorkspaceName, is_workspace, "aZ0._+@#=,-/", 200),
    "agent": (words.AgentName, is_agent, "aZ0._-:/@+", 100),
    "host": (words.HostName, lambda text: len(text) <= 64 and _part(text, "._-"), "aZ0._-", 64),
    "label": (words.Label, lambda text: len(text) <= 64 and _part(text, "._=/-"), "aZ0._=/-", 64),
    "limit key": (words.LimitKey, is_limit_key, "aZ0._:/@+*=-", 160),
    "repo": (words.RepoName, lambda text: len(text) <= 100 and _part(text, "._-"), "aZ0._-", 100),
    "branch": (words.Branch, is_branch, "aZ0._-/é", 200),
}


def accepted(kind: Any, value: object) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", RULES)
@given(data=st.data())
def test_the_type_agrees_with_the_plain_rule(name: str, data: st.DataObject) -> None:
    kind, plain, letters, longest = RULES[name]
    near = st.text(st.sampled_from(letters), max_size=12) | st.text(st.sampled_from(letters + " \n\x00:"), max_size=8)
    text = data.draw(near | st.text(max_size=8) | st.integers(longest - 1, longest + 1).map(lambda n: "a" * n))
    assert accepted(kind, text) == plain(text)


@pytest.mark.parametrize("kind", [words.WorkspaceName, words.AgentName, words.HostName, words.RepoName, words.Branch])
@pytest.mark.parametrize("text", ["", "..", "../x", "-x", "a\n", "a\x00", "a b", "x" * 1_000_000, b"a\xff", 5, None])
def test_hostile_names_are_refused(kind: Any, text: object) -> None:
    assert not accepted(kind, text)


@pytest.mark.parametrize("text", ["a/..", "a/./b", "a/...", "a//b", "/a", "a/"])
def test_a_workspace_never_leaves_its_root(text: str) -> None:
    assert not accepted(words.WorkspaceName, text)


@pytest.mark.parametrize("text", ["core/go-io/task-5", "ws-blocked", "a/.hidden/_b", "a/..b", "1@x#2=3,4+5"])
def test_a_workspace_name_of_every_usual_form_is_accepted(text: str) -> None:
    assert accepted(words.WorkspaceName, text)


def test_a_refused_name_says_what_is_allowed_and_shows_an_example() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(words.WorkspaceName).validate_python("é" * 1_000_000)
    (error,) = caught.value.errors()
    assert error["msg"].startswith("must be 1 to 200 letters, digits and ._+@#=,- in parts separated by '/'")
    assert error["ctx"]["fix"] == "write it like core/go-io/task-5"
    assert len(error["msg"]) < 250
    assert error["msg"].isascii()


@pytest.mark.parametrize("value", [0, 1, 10**14 - 1, 5.0])
def test_whole_numbers_are_accepted(value: float) -> None:
    assert TypeAdapter(words.Millis).validate_python(value) == value


@pytest.mark.parametrize(
    "value", [-1, 10**14, 10**40, 1.5, float("nan"), float("inf"), "5", "0x10", True, False, None, [], -0.5]
)
def test_what_is_no_whole_number_is_refused_with_what_was_given(value: object) -> None:
    with pytest.raises(ValidationError, match="must be a whole number of at least 0 and below 1e14, got "):
        TypeAdapter(words.Count).validate_python(value)


def test_a_task_is_measured_in_bytes_of_utf_8() -> None:
    assert accepted(words.Task, "é" * (words.TASK_BYTES // 2))
    assert not accepted(words.Task, "é" * (words.TASK_BYTES // 2) + "a")


def test_text_that_no_json_can_carry_is_refused() -> None:
    assert not accepted(words.Task, "a\ud800")
    assert not accepted(words.Branch, "a\ud800")


@pytest.mark.reference(50, 51, 52, "T43", "T47")
@pytest.mark.parametrize(
    ("agent", "pool", "model"),
    [
        ("codex", "codex", ""),
        ("codex:gpt-5.4", "codex", "gpt-5.4"),
        ("codex:a:b", "codex", "a:b"),
        ("opencode:opencode-go/deepseek-v4-pro", "opencode", "opencode-go/deepseek-v4-pro"),
        ("codex:gpt-5.3-codex-spark", "codex", "gpt-5.3-codex-spark"),
        ("", "", ""),
    ],
)
def test_an_agent_is_split_at_its_first_colon(agent: str, pool: str, model: str) -> None:
    assert (words.pool_of(agent), words.model_of(agent)) == (pool, model)


def test_limit_keys_come_in_the_order_of_admission_and_once() -> None:
    assert words.limit_keys("codex") == ["*", "codex"]
    assert words.limit_keys("codex:gpt-5.4", "core", "go-io", ["gpu", "codex", "gpu", "*"], ["tpu", "gpu", "tpu"]) == [
        *("*", "codex", "codex:gpt-5.4", "repo:core/go-io", "org:core", "label:gpu", "label:tpu", "gpu")
    ]
    assert words.limit_keys("codex", repo="go-io") == ["*", "codex", "repo:go-io"]
    assert words.limit_keys("codex", org="core") == ["*", "codex", "org:core"]


def test_a_branch_is_measured_in_bytes_as_the_library_measures_it() -> None:
    assert accepted(words.Branch, "é" * 100)
    assert not accepted(words.Branch, "é" * 101)


@pytest.mark.reference(16)
def test_every_status_is_in_exactly_one_group() -> None:
    grouped = [status for group in words.STATUS_GROUPS.values() for status in group]
    assert sorted(grouped) == sorted(words.STATUSES)
    assert words.STATUS_GROUPS["completed"] == ("completed", "merged", "ready-for-review")
    assert words.STATUS_GROUPS["failed"] == ("failed", "blocked")


def test_a_number_too_long_to_write_out_is_refused_like_any_other() -> None:
    assert not accepted(words.Count, 10**6000)
