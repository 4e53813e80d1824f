"""What several misfortunes need."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forgetful import Forgetful


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Forgetful]:
    """A server of this test alone, that may be killed and come back."""
    with Forgetful(tmp_path / "server") as server:
        yield server
