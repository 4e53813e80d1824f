"""The model bites: every planted bug is caught, by a law or by the truth."""

import pytest

from tests.model import build
from tests.model.plant import Plant
from tests.model.planted import PLANTED
from tests.model.soonest import MEETS, SOONEST, meet
from tests.servers import Servers


def meets(plant: Plant, servers: Servers) -> None:
    """Raises what the machine finds. The order of a server's sets is its own, so one start may miss a bug."""
    if plant.name in SOONEST:
        meet(plant, servers, SOONEST[plant.name])
    for start in range(2, 8):
        meet(plant, servers, start, examples=400)


@pytest.mark.timeout(300)  # on a busy machine; it ends as soon as the bug is found
@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.name)
def test_a_planted_bug_is_caught(plant: Plant, servers: Servers) -> None:
    build.text(plant=plant)  # that it is still in the library is not for the machine to find
    with pytest.raises(MEETS):
        meets(plant, servers)


def test_no_seed_is_kept_for_a_bug_that_is_not_planted() -> None:
    assert SOONEST.keys() <= {plant.name for plant in PLANTED}
