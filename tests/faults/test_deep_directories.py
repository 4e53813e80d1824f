"""Directories so deep that the address of a socket in them is too long for the system."""

import tempfile
from pathlib import Path

import pytest

from tests.guarding import a_host


async def test_an_agent_starts_where_the_root_and_the_temporary_directory_are_deep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    async with a_host(deep) as host:
        ending = await (await host.start(1, "exit=3")).ended()
    assert ending.code == 3
