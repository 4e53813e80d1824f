"""agents.yaml as a file: missing, unreadable, or no text at all."""

import logging
from pathlib import Path

import pytest

from coordinator.config import fleet
from coordinator.config.fleet import load
from coordinator.errors import ConfigError


@pytest.mark.reference(60, "T63")
def test_a_missing_file_is_the_reference_defaults_only_when_nobody_named_it(tmp_path: Path) -> None:
    unnamed = load(tmp_path / "agents.yaml", explicit=False)
    assert unnamed.limits() == {"claude": 1, "gemini": 3}
    assert unnamed.dispatch.default_agent == "claude"
    with pytest.raises(ConfigError, match=r"there is no such file; write one with: coordinator init"):
        load(tmp_path / "agents.yaml")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a: \xff\xfe", "byte 4 is not UTF-8"),
        (b"\x7fELF\x00\x01\x02", "special characters are not allowed"),
        (b"#" * (1024 * 1024 + 1), "is larger than 1 MiB"),
        (b"", "must hold lines of 'name: value', got nothing"),
    ],
)
def test_a_file_that_is_no_text_is_one_problem(tmp_path: Path, data: bytes, said: str) -> None:
    file = tmp_path / "agents.yaml"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=said) as caught:
        load(file)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("path", ["/", "/dev/zero", "a\x00b"])
def test_a_path_that_is_no_file_is_one_problem(path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(Path(path))
    assert len(caught.value.problems) == 1


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    file = tmp_path / "agents.yaml"
    file.write_bytes(b"\xef\xbb\xbfconcurrency: {codex: 2}")
    assert load(file).limits() == {"codex": 2}


def test_loading_logs_what_is_odd(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text("dispatch: {beet: 3}")
    with caplog.at_level(logging.WARNING, fleet.__name__):
        load(file)
    assert caplog.messages == ["config dispatch.beet: is not a known key and is ignored; did you mean beat?"]
