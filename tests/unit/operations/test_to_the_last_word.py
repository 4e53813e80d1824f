"""Facts and records are told with all their fields; what is at an edge falls on the side that is written."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from coordinator import operations as ops
from coordinator.models import Workspace
from coordinator.operations.claim import Claim
from coordinator.operations.host import HostSet
from tests.model.world import START, World
from tests.unit.operations import rich


@pytest.fixture
def redis(server_url: str) -> Iterator["Redis"]:
    """Of a server with all kinds of keys, that is full."""
    with Redis.from_url(server_url) as client:
        rich.build(client)
        client.config_set("maxmemory", "1")
        yield client
        client.config_set("maxmemory", "0")


def _fact(world: World, kind: str) -> dict[str, Any]:
    (fact,) = [fact for fact in world.facts() if fact["type"] == kind]
    return fact


@pytest.mark.parametrize("key", ["codex", "*"])
def test_a_freeze_is_told_with_its_end(world: World, key: str) -> None:
    world.ask(ops.Freeze(key=key, by="ana", reason="deploy", until=START + 5000))
    told = {"type": "Frozen", "key": key, "by": "ana", "reason": "deploy", "until": START + 5000}
    assert _fact(world, "Frozen") == told


@pytest.mark.parametrize("fields", [{"pr_url": "https://a/1"}, {"verdict": "red"}, {"question": "which?"}, {}])
def test_an_ending_is_told_with_what_it_says(world: World, fields: dict[str, str]) -> None:
    world.ask(ops.Submit(workspace="w", agent="codex", repo="r"))
    (grant,) = world.ask(Claim(host="h1", incarnation="i", seq=1)).grants
    world.ask(ops.Complete.model_validate({"workspace": "w", "token": grant.token, "status": "merged", **fields}))
    told = {"agent": "codex", "repo": "r", "workspace": "w", "status": "merged", "token": grant.token, "host": "h1"}
    assert _fact(world, "AgentCompleted") == {"type": "AgentCompleted", **told, **fields}


def test_a_pr_that_was_known_before_is_told_with_the_ending(world: World) -> None:
    found = {"workspace": "w", "agent": "codex", "status": "running", "pr_url": "https://a/1"}
    world.ask(ops.Track.model_validate({"workspaces": [found], "host": "h1"}))
    world.ask(ops.Track.model_validate({"workspaces": [{**found, "pr_url": None, "status": "merged"}], "host": "h1"}))
    record = world.ask(ops.Query(workspace="w")).workspaces[0]
    assert (record.status, _fact(world, "AgentCompleted").get("pr_url")) == ("merged", record.pr_url)


def test_what_a_disk_says_is_kept_field_by_field(world: World) -> None:
    said = {"task": "t", "repo": "r", "org": "o", "branch": "b", "source": "s", "dir": "d", "session": "x"}
    said |= {"question": "q?", "pr_url": "https://a/1", "verdict": "v"}
    row = {"workspace": "w", "agent": "codex", "status": "blocked", "runs": 3, "exit_code": 4, "started_at": 5, **said}
    world.ask(ops.Track.model_validate({"workspaces": [row], "host": "h1"}))
    record = world.ask(ops.Query(workspace="w")).workspaces[0].model_dump()
    assert {name: record[name] for name in row} == row


def test_a_process_that_has_no_number_is_not_kept(world: World) -> None:
    for now, pid, kept in ((START, 7, 7), (START + 1, 0, 7)):
        world.set_clock(now)
        row = {"workspace": "w", "agent": "codex", "status": "running", "updated_at": now, "pid": pid}
        world.ask(ops.Track.model_validate({"workspaces": [row], "host": "h1"}))
        assert world.ask(ops.Query(workspace="w")).workspaces[0].pid == kept


def test_a_record_shows_no_field_that_only_the_library_reads(redis: "Redis") -> None:
    redis.config_set("maxmemory", "0")
    rich.ask(redis, "submit", {"workspace": "again", "agent": "codex", "asker": "svc", "id": "one"})
    shown = {field for row in rich.ask(redis, "query", {})["workspaces"] for field in row}
    assert {"workspace", "token"} <= shown <= {*Workspace.model_fields, "place", "ttl", "updated_at"}


def test_when_memory_is_full_what_frees_some_is_still_done_and_nothing_else(redis: "Redis") -> None:
    done = {
        "kill": {"workspace": "run"},
        "complete": {"workspace": "asked", "status": "completed"},
        "renew": {"host": "h1", "incarnation": "i1"},
        "host": {"host": "h2", "action": "quiet"},
        "reap": {},
    }
    for verb, question in done.items():
        assert rich.ask(redis, verb, question)["outcome"] not in ("damaged", "invalid"), verb
    refused: dict[str, dict[str, Any]] = {
        "submit": {"workspace": "new", "agent": "codex"},
        "limit": {"key": "codex", "limit": 3},
        "track": {"workspaces": []},
        "freeze": {},
        "thaw": {},
    }
    for verb, question in refused.items():
        with pytest.raises(ResponseError, match="maxmemory"):
            rich.ask(redis, verb, question)


def test_weights_are_those_of_the_last_file(world: World) -> None:
    for weights in ({"codex": 2, "claude": 3}, {"codex": 4, "claude": 3}, {"claude": 3}, {}):
        world.ask(ops.Apply(weights=weights))
        assert world.redis.hgetall("{model}:weights") == {name: str(weight) for name, weight in weights.items()}


def test_a_gate_that_is_moved_to_this_moment_is_open(world: World) -> None:
    world.ask(ops.BackOff(key="codex", until=START + 5000))
    assert world.ask(ops.BackOff(key="codex", until=START)).now == 0


@pytest.mark.parametrize(("ms", "text"), [(59_001, "1m00s"), (3_599_000, "59m59s"), (90_061_000, "25h01m")])
def test_a_wait_is_told_in_two_units(world: World, ms: int, text: str) -> None:
    world.ask(ops.BackOff(key="codex", until=START + ms))
    world.ask(ops.Submit(workspace="w", agent="codex"))
    refusal = world.ask(ops.Explain(workspace="w")).refusal
    assert refusal is not None
    assert f" {text}" in json.loads(refusal.model_dump_json())["text"]


def test_between_the_parts_of_a_forget_its_host_is_given_nothing(world: World) -> None:
    for number in range(70):
        world.ask(ops.Submit(workspace=f"w{number}", agent="codex"))
    for seq in range(1, 6):
        world.ask(Claim(host="h1", incarnation="i", seq=seq))
    part = world.ask(ops.Host(host="h1", action="forget", dead=True))
    assert isinstance(part, HostSet)
    assert (part.state, len(part.requeued)) == ("forgetting", 64)
    assert world.ask(Claim(host="h1", incarnation="i", seq=6)).grants == ()
    assert world.ask(ops.Host(host="h1", action="forget", dead=True)).outcome == "set"
    assert world.redis.exists("{model}:host:h1", "{model}:held:h1") == 0
