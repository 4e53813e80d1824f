"""What tests of the doors may ask for."""

from pathlib import Path

import pytest

from tests.cli import Cli
from tests.servers import REDIS, Servers


@pytest.fixture
def cli(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line on an empty Redis, with an empty directory as its core."""
    return Cli(servers.fresh_url(REDIS), tmp_path, monkeypatch)


@pytest.fixture
def thawed(cli: Cli) -> Cli:
    """The same, with the queue thawed."""
    cli("start")
    return cli
