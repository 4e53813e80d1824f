"""Redis is away for longer than stilled agents wait for it: what ran is lost, and lost work is run again."""

from pathlib import Path

from coordinator.operations import Kill, Submit
from tests import marks
from tests.fleet import WORK, Fleet
from tests.forgetful import Forgetful
from tests.waiting import wait_until

#: An hour, and half a minute: until its lease has ended there the server takes the host for full, and does not poke it.
PARKS = "import functools, workers.start as s; s.Run = functools.partial(s.Run, park_max_ms=500)"
IMPATIENT = f"{PARKS}; import workers.claims as c; c.SAFETY_NET = 0.5; {WORK}"


async def test_what_was_lost_while_the_server_was_away_is_queued_again(server: Forgetful, tmp_path: Path) -> None:
    async with Fleet(server.url, tmp_path, {"codex": 1}, lease_ttl="2s", beat="200ms", kill_grace="400ms") as fleet:
        fleet.serve("r1")
        fleet.work("h1", 1, code=IMPATIENT)
        await fleet.ready(1)
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="600"))
        await wait_until(lambda: marks.starts(marks.read(fleet.marks))["a/1"] == 1, "the agent runs")
        server.kill()
        await wait_until(lambda: "lost workspace=a/1" in fleet.said("h1"), "it waited long enough", 20)
        server.start()
        await wait_until(lambda: marks.starts(marks.read(fleet.marks))["a/1"] == 2, "it runs again", 20)
        assert (await fleet.record("a/1")).attempt == 2
        await fleet.store.run(Kill(workspace="a/1"))
        await fleet.becomes("a/1", "failed")
