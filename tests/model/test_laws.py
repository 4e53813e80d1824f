"""Every law holds after every call, whatever is asked in whatever order; and the servers agree."""

import pytest

from tests.model.running import run, run_together
from tests.servers import ALL, FAKE, REDIS, Servers, program

SEED = 1  # `python -m tests.model --seed N` goes elsewhere
EXAMPLES = {FAKE: 60}  # a fake server takes its time


@pytest.mark.reference(14, "W5", "W7", "W12")
@pytest.mark.timeout(600)  # a failure is made small before it is shown
def test_every_law_holds(server_kind: str, servers: Servers) -> None:
    run(server_kind, servers, examples=EXAMPLES.get(server_kind, 150), steps=50, start=SEED)


@pytest.mark.timeout(600)
def test_the_servers_agree(servers: Servers) -> None:
    program(REDIS)  # skips, or fails where every server is required
    run_together(ALL, servers, examples=25, steps=40, start=SEED + 1)
