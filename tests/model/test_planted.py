"""The model bites: every planted bug is caught, by a law or by the truth."""

import pytest

from tests.model import build
from tests.model.plant import Plant
from tests.model.planted import PLANTED
from tests.model.running import run
from tests.servers import VALKEY, Servers


@pytest.mark.timeout(300)  # on a busy machine; it ends as soon as the bug is found
@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.name)
def test_a_planted_bug_is_caught(plant: Plant, servers: Servers) -> None:
    build.text(plant=plant)  # it is in the library, where nothing else may be wrong
    with pytest.raises(AssertionError):
        run(VALKEY, servers, examples=400, steps=50, start=2, shrink=False, plant=plant)
