"""Each verb looks at what it will write before it writes anything: it names a damaged key and what that should be."""

from typing import Any

import pytest

from coordinator import operations as ops
from coordinator.operations._operation import Operation
from tests.model.world import ROOT, START, World
from tests.servers import REDIS
from tests.unit.operations.stopping import changes_nothing, damage

pytestmark = pytest.mark.parametrize("server_kind", [REDIS], indirect=True)

HOST = {"host": "h1", "incarnation": "i"}


def _tokens(world: World) -> dict[str, int]:
    """A fleet with a run of a paced pool, one that waits for its slot, and one that has failed."""
    world.ask(ops.Apply.model_validate({"limits": {"codex": 1}, "rates": {"codex": {"min_delay": 5}}}))
    for name, agent in (("run", "codex"), ("wait", "codex"), ("hurt", "claude")):
        world.ask(ops.Submit(workspace=name, agent=agent))
    world.ask(ops.Cancel(workspace="hurt"))
    grants = world.ask(ops.Claim.model_validate({**HOST, "seq": 1})).grants
    world.set_clock(START + 1000)
    return {grant.workspace: grant.token for grant in grants}


@pytest.mark.parametrize(
    ("verb", "question", "key", "kind"),
    [
        (ops.Renew, HOST, "host:h1", "hash"),
        (ops.Renew, HOST, "held:h1", "set"),
        (ops.Renew, {**HOST, "incarnation": "j"}, "served:codex", "set"),
        (ops.Complete, {"workspace": "run", "status": "failed", "retry_after": 60}, "lane:codex codex", "zset"),
        (ops.Kill, {"workspace": "wait"}, "status:failed", "zset"),
        (ops.Kill, {"all": True, "cursor": "q"}, "status:failed", "zset"),
        (ops.Kill, {"agent": "codex"}, "slots:codex", "set"),
        (ops.Cancel, {"workspace": "wait"}, "status:failed", "zset"),
        (ops.Submit, {"workspace": "hurt", "agent": "codex"}, "workspace:hurt", "hash"),
        (ops.Submit, {"workspace": "hurt", "agent": "codex", "again": True}, "status:failed", "zset"),
        (ops.Submit, {"workspace": "new", "agent": "claude", "asker": "svc"}, "host:svc", "hash"),
        (ops.Retry, {"workspace": "hurt", "deadline": START + 9000}, "workspace:hurt", "hash"),
        (ops.BackOff, {"key": "codex", "for": 5000}, "rates:codex", "hash"),
        (ops.Freeze, {"key": "codex"}, "rates:codex", "hash"),
        (ops.Thaw, {"key": "host:h1"}, "held:h1", "set"),
        (ops.Limit, {"key": "codex", "limit": 5}, "groups:codex", "set"),
        (ops.Prioritize, {"workspace": "wait", "priority": 9}, "lane:codex codex", "zset"),
        (ops.Prioritize, {"workspace": "wait", "priority": 9}, "lane:codex codex #18", "zset"),
        (ops.Push, {"channel": "c", "data": "{}", "id": "one"}, "pushed", "zset"),
        (ops.Confirm, {"workspace": "run", "token": 1}, "workspace:run", "hash"),
    ],
)
def test_a_verb_that_meets_a_damaged_key_names_it_and_changes_nothing(
    world: World, verb: type[Operation[Any]], question: dict[str, Any], key: str, kind: str
) -> None:
    tokens = _tokens(world)
    if verb is ops.Complete:
        question = {**question, "token": tokens["run"]}
    world.redis.delete(f"{ROOT}:{key}")
    damage(world, key)
    changes_nothing(world, verb.model_validate(question), key, kind)
