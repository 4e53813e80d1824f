"""status, query and explain: what is, in numbers, and why something waits."""

import json

import pytest

from coordinator.models import KeyView
from coordinator.operations import BackOff, Explain, Freeze, GetStatus, Hosts, Limit, Query
from coordinator.operations.complete import UnknownWorkspace
from coordinator.operations.explain import Explained
from coordinator.store import Store
from tests.unit.operations.asking import Fleet


@pytest.mark.reference(16, "W24")
async def test_counts_are_told_by_status_and_by_group(fleet: Fleet) -> None:
    for ending in ("completed", "merged", "ready-for-review", "failed", "blocked"):
        await fleet.end(await fleet.ask_for(ending), ending)
    await fleet.ask_for("r")
    await fleet.queue("q1", "q2")
    status = await fleet.store.run(GetStatus())
    assert (status.running, status.queued, status.completed, status.failed, status.total) == (1, 2, 3, 2, 8)
    assert status.counts["merged"] == 1
    assert (status.frozen, status.hosts) == (False, 0)


async def test_keys_of_interest_are_shown_with_their_use(fleet: Fleet) -> None:
    await fleet.limit("codex", 1)
    await fleet.ask_for("a")
    await fleet.queue("b")
    await fleet.store.run(BackOff(key="claude", until=4_102_444_800_000, reason="limit"))
    await fleet.store.run(Freeze(key="repo:io"))
    keys = {view.key: view for view in (await fleet.store.run(GetStatus())).keys}
    assert list(keys) == ["*", "claude", "codex", "repo:io"]
    assert (keys["*"].used, keys["*"].limit) == (1, None)
    codex = keys["codex"]
    assert (codex.used, codex.limit, codex.reason, codex.waiting) == (1, 1, "full", True)
    assert (keys["claude"].until, keys["claude"].reason) == (4_102_444_800_000, "backoff")
    assert keys["repo:io"].reason == "frozen"


@pytest.mark.reference(1, "T1", "T13", "W16")
async def test_reading_changes_nothing_also_on_an_empty_server(store: Store) -> None:
    assert (await store.run(GetStatus())).new
    assert (await store.run(Query())).workspaces == ()
    assert (await store.run(Query(workspace="a"))).workspaces == ()
    assert (await store.run(Hosts())).hosts == ()
    assert await store.run(Explain(workspace="a")) == UnknownWorkspace()
    assert await store.redis.dbsize() == 0


@pytest.mark.parametrize("verb", ["backup", "explain", "faults", "hosts", "query", "status", "what_if"])
async def test_who_may_only_read_can_ask(fleet: Fleet, verb: str) -> None:
    """As a viewer of the security document, or from a copy of the server: a server refuses what might write."""
    question = {"explain": '{"workspace":"a"}', "faults": '{"keys":[]}', "what_if": '{"limits":{"codex":1}}'}
    answer = await fleet.redis.fcall_ro(f"dispatch_{verb}", 1, "{t}", question.get(verb, "{}"))
    assert json.loads(str(answer))["outcome"] not in ("invalid", "damaged")


async def test_a_default_limit_is_shown(fleet: Fleet) -> None:
    await fleet.store.run(Limit(key="repo:*", limit=2))
    shown = {view.key: view.limit for view in (await fleet.store.run(GetStatus())).keys}
    assert shown["repo:*"] == 2


@pytest.mark.reference(38, 42)
async def test_records_are_found_by_every_filter(fleet: Fleet) -> None:
    await fleet.queue("a", org="core", repo="io")
    await fleet.queue("b", agent="codex:big", repo="io")
    await fleet.ask_for("c", "claude", asker="h1")

    async def found(**filters: object) -> list[str]:
        page = await fleet.store.run(Query.model_validate(filters))
        assert page.cursor is None
        return sorted(one.workspace for one in page.workspaces)

    assert await found() == ["a", "b", "c"]
    assert await found(status="queued") == ["a", "b"]
    assert await found(repo="io") == ["a", "b"]
    assert await found(repo="core/io") == ["a"]
    assert await found(agent="codex") == ["a", "b"]
    assert await found(agent="codex:big") == ["b"]
    assert await found(host="h1") == ["c"]
    assert await found(status="queued", agent="claude") == []
    assert await found(name="a") == ["a"]


@pytest.mark.reference(42)
async def test_pages_show_each_record_once(fleet: Fleet) -> None:
    await fleet.track([f"w{number}" for number in range(250)])
    await fleet.ask_for("r")
    seen, cursor = list[str](), None
    while True:
        page = await fleet.store.run(Query(count=60, cursor=cursor))
        assert len(page.workspaces) <= 60
        seen += [one.workspace for one in page.workspaces]
        cursor = page.cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 251


async def test_a_long_task_is_cut_in_a_list_and_whole_by_name(fleet: Fleet) -> None:
    task = "é" * 500
    await fleet.queue("a", task=task)
    (listed,) = (await fleet.store.run(Query())).workspaces
    assert listed.task == "é" * 100 + " ..."
    assert (await fleet.record("a")).task == task


async def test_why_is_answered_with_place_keys_and_hosts(fleet: Fleet) -> None:
    await fleet.host(slots=1)
    await fleet.limit("codex", 5)
    await fleet.queue("a", "b", "c")
    await fleet.granted()
    answer = await fleet.store.run(Explain(workspace="c"))
    assert isinstance(answer, Explained)
    assert (answer.status, answer.place, answer.route, answer.served_by) == ("queued", 2, "codex", 1)
    assert answer.keys == (KeyView(key="*", used=1), KeyView(key="codex", used=1, limit=5))
    assert answer.refusal is not None
    assert (answer.refusal.reason, answer.refusal.used, answer.refusal.limit) == ("hosts_full", 1, 1)
    assert answer.refusal.text == "hosts full: 1/1 slots on 1 host that serve codex"


@pytest.mark.reference(56)
@pytest.mark.parametrize(
    ("case", "key", "reason"),
    [
        ("frozen", "*", "frozen"),
        ("pool", "codex", "full"),
        ("model", "codex:big", "full"),
        ("repo", "repo:io", "full"),
        ("gate", "codex", "backoff"),
        ("hosts", "codex", "hosts_full"),
        ("nobody", "codex", "no_host"),
    ],
)
async def test_why_names_the_key_that_holds_it_back(fleet: Fleet, case: str, key: str, reason: str) -> None:
    if case != "nobody":
        await fleet.host(slots=1 if case == "hosts" else 5)
    await fleet.queue("a", "b", agent="codex:big", repo="io")
    if case != "nobody":
        assert await fleet.granted(count=1) == ["a"]
    for limited in {"pool": ["codex"], "model": ["codex:big"], "repo": ["repo:io"]}.get(case, []):
        await fleet.limit(limited, 1)
    if case == "frozen":
        await fleet.store.run(Freeze())
    if case == "gate":
        await fleet.store.run(BackOff(key="codex", until=4_102_444_800_000))
    no = await fleet.why("b")
    assert no is not None
    assert (no.key, no.reason) == (key, reason)
    assert no.until == (4_102_444_800_000 if case == "gate" else None)
    assert no.holders == (("a",) if reason in ("full", "hosts_full") else ())


async def test_nothing_holds_back_what_a_waiting_host_will_take(fleet: Fleet) -> None:
    await fleet.host("h1")
    await fleet.host("h2")
    async with fleet.listening("h1", "h2"):
        await fleet.claim("h1")
        await fleet.claim("h2")
        await fleet.queue("a")
        assert await fleet.why("a") is None


async def test_what_if_puts_other_limits_in(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.limit("codex", 0)
    await fleet.queue("a")
    no = await fleet.why("a")
    assert no is not None
    assert no.key == "codex"
    answer = await fleet.store.run(Explain(workspace="a", what_if={"codex": 1}))
    assert isinstance(answer, Explained)
    assert answer.refusal is None or answer.refusal.reason == "hosts_full"
    assert [view.limit for view in answer.keys] == [None, 1]
    assert await fleet.granted() == []  # nothing was set


async def test_one_that_runs_or_ended_says_only_what_it_is(fleet: Fleet) -> None:
    grant = await fleet.ask_for("a")
    answer = await fleet.store.run(Explain(workspace="a"))
    assert isinstance(answer, Explained)
    assert (answer.status, answer.host, answer.refusal) == ("running", "svc", None)
    await fleet.end(grant, "blocked", question="Which database?")
    answer = await fleet.store.run(Explain(workspace="a"))
    assert isinstance(answer, Explained)
    assert (answer.status, answer.question) == ("blocked", "Which database?")


@pytest.mark.reference(16, "T20")
async def test_nothing_counts_nothing(fleet: Fleet) -> None:
    status = await fleet.store.run(GetStatus())
    assert (status.running, status.queued, status.completed, status.failed, status.total) == (0, 0, 0, 0, 0)


@pytest.mark.reference(16, "T19", "T21")
async def test_one_of_each_status_is_seven_in_four_groups(fleet: Fleet) -> None:
    await fleet.queue("queued")
    await fleet.ask_for("running", "claude")
    await fleet.end(await fleet.ask_for("completed", "claude"), "completed")
    status = await fleet.store.run(GetStatus())
    assert (status.running, status.queued, status.completed, status.failed, status.total) == (1, 1, 1, 0, 3)
    for ending in ("merged", "ready-for-review", "failed", "blocked"):
        await fleet.end(await fleet.ask_for(ending, "claude"), ending)
    status = await fleet.store.run(GetStatus())
    assert (status.running, status.queued, status.completed, status.failed, status.total) == (1, 1, 3, 2, 7)
    assert set(status.counts.values()) == {1}
