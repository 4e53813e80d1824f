"""The roles of docs/acl: each does all its work on a server that enforces them, and nothing else."""

import inspect
import json
import re
import subprocess
from contextlib import aclosing
from pathlib import Path

import pytest
from redis import Redis

from coordinator import library, operations
from coordinator.errors import StoreUnusable
from coordinator.operations import Query, Submit
from coordinator.operations._operation import Operation
from coordinator.store import Store
from tests.cli import UNREACHABLE, Cli
from tests.fleet import ROOT, Fleet
from tests.roles import FOLDER, ROLES, Guarded
from tests.servers import REDIS, VALKEY, Servers, found
from tests.waiting import wait_until

BUS, INBOX = f"{ROOT}:bus", f"{ROOT}:inbox"
KINDS = pytest.mark.parametrize("server_kind", [VALKEY, REDIS], indirect=True)
#: What each must not do. A verb is refused before it is looked at, so its question may be anything.
FORBIDDEN: dict[str, list[tuple[str | int, ...]]] = {
    "replica": [("CONFIG", "GET", "*"), ("FLUSHALL",), ("KEYS", "*"), ("GET", "{other}:fence"), ("SET", "x", "1"),
                ("FUNCTION", "FLUSH"), ("FUNCTION", "DELETE", "dispatch"), ("EVAL", "return 1", 0), ("ACL", "LIST"),
                ("DEBUG", "SLEEP", 0), ("SHUTDOWN",), ("CLIENT", "KILL", "ID", 0), ("PUBLISH", "{other}:bus", "x"),
                ("FCALL", "dispatch_status", 1, "{other}", "{}")],
    "worker": [("FUNCTION", "LOAD", "x"), ("CONFIG", "GET", "*"), ("FLUSHALL",), ("FLUSHDB",), ("KEYS", "*"),
               ("SCAN", 0), ("GET", "{other}:fence"), ("FUNCTION", "FLUSH"), ("EVAL", "return 1", 0), ("MONITOR",),
               ("ACL", "WHOAMI"),
               ("FCALL", "dispatch_status", 1, "{other}", "{}"), ("SUBSCRIBE", "{other}:bus"), ("SWAPDB", 0, 1)],
    "publisher": [("FCALL", "dispatch_status", 1, ROOT, "{}"), ("FCALL_RO", "dispatch_status", 1, ROOT, "{}"),
                  ("GET", f"{ROOT}:fence"), ("XRANGE", INBOX, "-", "+"), ("XREAD", "STREAMS", INBOX, "0"),
                  ("XADD", f"{ROOT}:events", "*", "type", "x"), ("XDEL", INBOX, "1-1"), ("DEL", INBOX), ("KEYS", "*"),
                  ("PUBLISH", f"{ROOT}:poke:h1", "x"), ("SUBSCRIBE", BUS), ("INFO",), ("XTRIM", INBOX, "MAXLEN", 0)],
    "viewer": [("FCALL", "dispatch_status", 1, ROOT, "{}"), ("SET", f"{ROOT}:fence", "1"), ("DEL", f"{ROOT}:limits"),
               ("HSET", f"{ROOT}:limits", "codex", 1), ("XADD", INBOX, "*", "json", "{}"), ("PUBLISH", BUS, "x"),
               ("GET", "{other}:fence"), ("HGETALL", "{dispatch}-damaged:limits"), ("KEYS", "*"), ("SCAN", 0),
               ("RANDOMKEY",), ("DBSIZE",), ("FCALL_RO", "dispatch_status", 1, "{other}", "{}"), ("SUBSCRIBE", BUS),
               ("CONFIG", "GET", "*"), ("FUNCTION", "LOAD", "x"), ("SORT", f"{ROOT}:held:h", "STORE", f"{ROOT}:x")],
}  # fmt: skip


@pytest.fixture
def guarded(servers: Servers, server_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    return Guarded(servers, server_kind, tmp_path_factory.getbasetemp())


@KINDS
async def test_no_role_does_what_is_not_its_own(guarded: Guarded) -> None:
    async with Store.connect(guarded.url_of("replica"), ROOT) as store:
        await store.latest()
    done = [
        (role, *command) for role in ROLES for command in FORBIDDEN[role] if not await guarded.refused(role, *command)
    ]
    assert done == []


@KINDS
async def test_who_may_hear_nothing_is_told_so(guarded: Guarded) -> None:
    async with Store.connect(guarded.url_of("viewer"), ROOT) as store, aclosing(store.hear("bus")) as heard:
        with pytest.raises(StoreUnusable, match=r"lacks a right .*subscribe.*replica\.acl"):
            await anext(heard)


@KINDS
async def test_a_worker_waits_for_the_library_then_all_roles_do_their_work(guarded: Guarded, tmp_path: Path) -> None:
    async with Fleet(guarded.url, tmp_path, {"codex": 2, "claude": 1}) as fleet:
        fleet.work("h1", 2, guarded.url_of("worker"))
        await wait_until(lambda: "docs/acl/replica.acl has it" in fleet.said("h1"), "the worker says who loads it")
        assert "start `coordinator serve` as that user" in fleet.said("h1")
        fleet.serve("r1", guarded.url_of("replica"))
        await fleet.ready(1)
        await fleet.heard()
        async with Store.connect(guarded.url_of("replica"), ROOT) as operator:
            await operator.run(Submit(workspace="a/1", agent="codex", task="0"))
            await operator.run(Submit(workspace="held/1", agent="claude", asker="svc"))
        await fleet.becomes("a/1", "completed")
        ended = {"type": "AgentCompleted", "status": "completed"}
        heard = ("PUBLISH", BUS, json.dumps(ended | {"workspace": "held/1"}))
        kept = ("XADD", INBOX, "*", "json", json.dumps({"type": "PokeQueue"}))
        assert [await guarded.refused("publisher", *command) for command in (heard, kept)] == ["", ""]
        await fleet.becomes("held/1", "completed")
        await wait_until(lambda: _empty(fleet), "the replica reads the inbox and clears it")
        said = (fleet.said("r1") + fleet.said("h1")).splitlines()
        assert [line for line in said if "lacks a right" in line and "function|load" not in line] == []


async def _empty(fleet: Fleet) -> bool:
    return await fleet.store.redis.xlen(INBOX) == 0


@KINDS
def test_replica_and_worker_may_run_every_command_of_the_library(guarded: Guarded) -> None:
    """A command that a new rule uses must not be missing in a role: a function that stops half-way is not undone."""
    with Redis.from_url(guarded.url, decode_responses=True) as admin:
        known = {name.upper(): row["arity"] for name, row in admin.command().items()}
        used = sorted(set(re.findall(r"'([A-Z]+)'", library.TEXT)) & known.keys())
        assert len(used) > 40
        denied = []
        for role in ("replica", "worker"):
            for name in used:
                arguments = [f"{ROOT}:x"] * (known[name] - 1 if known[name] > 0 else -known[name])
                said = admin.execute_command("ACL", "DRYRUN", f"dispatch-{role}", name, *arguments)
                denied += [(role, name, said)] if said != "OK" else []
        assert denied == []


@KINDS
async def test_a_viewer_asks_every_question_that_changes_nothing(guarded: Guarded) -> None:
    asked = [verb for _, verb in inspect.getmembers(operations, inspect.isclass) if issubclass(verb, Operation)]
    reads = {verb.name for verb in asked if verb.reads}
    assert {"explain", "hosts", "query", "status", "what_if"} <= reads
    async with Store.connect(guarded.url_of("replica"), ROOT) as store:
        await store.run(Submit(workspace="a/1", agent="codex"))
    for name in reads:
        question = json.dumps({"workspace": "a/1", "limits": {"codex": 8}})
        assert await guarded.refused("viewer", "FCALL_RO", f"dispatch_{name}", 1, ROOT, question) == ""


@pytest.mark.parametrize("server_kind", [REDIS], indirect=True)
def test_a_viewer_looks_with_the_commands_and_changes_nothing(
    guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = Cli(guarded.url_of("replica"), tmp_path, monkeypatch)
    cli("start")
    cli("limits", "codex", "1")
    cli("dispatch", "a/1", "--agent", "codex", "--task", "secret words")
    cli.host()
    assert cli.claim()
    assert "lacks a right" not in cli.run("doctor").output
    monkeypatch.setenv("REDIS_URL", guarded.url_of("viewer"))
    for line in ("status", "why a/1", "workspaces", "history", "hosts", "limits", "limits --what-if codex=8", "backoff",
                 "config show", "events"):  # fmt: skip
        cli(*line.split())
    before = cli.json("workspaces")
    for line in ("dispatch b/1 --agent codex", "start", "stop", "kill a/1", "limits codex 5", "cancel a/1"):
        said = cli.wrong(*line.split(), code=UNREACHABLE)
        assert "run the 'fcall' command" in said
        assert said.endswith(
            "docs/acl/replica.acl or docs/acl/worker.acl has it: it changes things: connect as one of these; "
            "see docs/security.md"
        )
        assert "s3cr3t-word" not in said
    assert cli.json("workspaces") == before
    monkeypatch.setenv("DISPATCH_NAMESPACE", "other")
    assert "must be those of this namespace (DISPATCH_NAMESPACE)" in cli.wrong("status", code=UNREACHABLE)


def typed(url: str, lines: str) -> list[str]:
    """What redis-cli answers."""
    command = [str(found("redis-cli")), "-s", url.removeprefix("unix://")]
    return subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout.split()


@KINDS
async def test_the_lines_can_be_told_to_a_running_server_for_any_namespace(server_kind: str, servers: Servers) -> None:
    """As docs/security.md says it."""
    url = servers.special(server_kind, "--databases", "2")  # its users are its own
    lines = "".join((FOLDER / f"{role}.acl").read_text() for role in ROLES).replace("dispatch", "mine")
    assert typed(url, lines.replace("user ", "ACL SETUSER ")) == ["OK"] * len(ROLES)
    login = url.replace("unix://", "unix://mine-{}:CHANGE-THIS-PASSWORD@")
    async with Store.connect(login.format("replica"), "{mine}") as replica:
        await replica.run(Submit(workspace="a/1", agent="codex"))
    async with Store.connect(login.format("viewer"), "{mine}") as viewer:
        assert (await viewer.run(Query(workspace="a/1"))).workspaces[0].status == "queued"
        with pytest.raises(StoreUnusable, match="run the 'fcall' command"):
            await viewer.run(Submit(workspace="a/2", agent="codex"))
    async with Store.connect(login.format("viewer"), "{dispatch}") as stranger:
        with pytest.raises(StoreUnusable, match=r"must be those of this namespace \(DISPATCH_NAMESPACE\)"):
            await stranger.run(Query(workspace="a/1"))
