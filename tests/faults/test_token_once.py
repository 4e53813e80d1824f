"""A token is started once, also where server and worker have both forgotten that it was."""

from pathlib import Path

from coordinator.operations import Submit
from tests import marks
from tests.fleet import Fleet
from tests.forgetful import Forgetful
from tests.waiting import wait_until


async def test_what_ended_under_a_worker_that_is_gone_is_known_to_the_next_when_the_server_goes_back(
    server: Forgetful, tmp_path: Path
) -> None:
    async with Fleet(server.url, tmp_path, {"codex": 1}, None, lease_ttl="20s", beat="500ms", kill_grace="2s") as fleet:
        await fleet.begin(1)
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="1"))
        await wait_until(lambda: marks.read(fleet.marks), "the agent runs")
        server.keep()
        fleet.signal("h1")
        assert await fleet.ended("h1") == 0
        assert (await fleet.record("a/1")).status == "completed"
        server.kill()
        server.go_back()
        server.start()
        assert (await fleet.record("a/1")).status == "running"
        fleet.work("h1", 1)
        assert (await fleet.becomes("a/1", "completed")).runs == 1
        assert marks.starts(marks.read(fleet.marks)) == {"a/1": 1}
