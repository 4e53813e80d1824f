"""A kill of a run that its worker has not heard of yet: the answer that grants it is still under way."""

from pathlib import Path

import pytest

from coordinator.operations import Claim, Freeze, Hosts, Kill, Submit, Thaw
from tests import marks
from tests.fleet import ROOT, Fleet


@pytest.mark.parametrize("server_kind", ["redis"], indirect=True)
async def test_it_reaches_the_worker_at_once_and_not_with_a_later_beat(server_url: str, tmp_path: Path) -> None:
    times: dict[str, object] = {"lease_ttl": "2m", "beat": "30s", "kill_grace": "1s"}
    async with Fleet(server_url, tmp_path, {"codex": 1}, None, **times) as fleet:
        await fleet.begin(1)
        await fleet.store.run(Freeze())
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="600"))
        (host,) = (await fleet.store.run(Hosts())).hosts
        claim = Claim(host="h1", incarnation=host.incarnation or "", seq=10**6)
        async with fleet.store.redis.pipeline(transaction=True) as step:
            for verb in (Thaw(), claim, Kill(workspace="a/1")):
                step.execute_command("FCALL", f"dispatch_{verb.name}", 1, ROOT, verb.encoded())
            await step.execute()
        assert (await fleet.becomes("a/1", "failed")).verdict == "killed"
        assert len(marks.starts(marks.read(fleet.marks))) <= 1
