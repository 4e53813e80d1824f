"""Every law holds after every call, whatever is asked in whatever order; and the servers agree."""

import pytest

from tests.model.running import run, run_together
from tests.servers import ALL, FAKE, REDIS, VALKEY, Servers, program

#: Each server meets questions of its own: (examples, seed). `python -m tests.model --seed N` goes elsewhere.
RUNS = {FAKE: (20, 3), VALKEY: (40, 1), REDIS: (40, 4)}  # a fake server takes its time


@pytest.mark.reference(14, "W5", "W7", "W12")
@pytest.mark.timeout(600)  # a failure is made small before it is shown
def test_every_law_holds(server_kind: str, servers: Servers) -> None:
    examples, start = RUNS[server_kind]
    run(server_kind, servers, examples=examples, steps=50, start=start)


@pytest.mark.timeout(600)
def test_the_servers_agree(servers: Servers) -> None:
    program(REDIS)  # skips, or fails where every server is required
    run_together(ALL, servers, examples=15, steps=40, start=2)
