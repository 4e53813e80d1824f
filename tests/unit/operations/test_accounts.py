"""Accounts of a pool: a run needs one that admits, holds its slot, and shuts it alone when its provider refuses."""

import json
from typing import Any

import pytest

from coordinator.errors import InvalidQuestion, StoreUnusable
from coordinator.models import Change, Grant, KeyView, Refusal
from coordinator.operations import Apply, BackOff, Claim, Explain, Freeze, GetStatus, Retry, Submit, Thaw
from coordinator.operations.apply import Applied
from coordinator.operations.explain import Explained
from coordinator.operations.submit import Refused
from tests.model.world import START, World
from tests.unit.operations.asking import Fleet

LATER = 4_102_444_800_000


async def _accounts(fleet: Fleet, limits: dict[str, int] | None = None, names: str = "work home") -> Applied:
    """Gives codex these accounts, and the keys of limits and accounts these limits."""
    found = {f"account:codex/{key}" if key in names else key: limit for key, limit in (limits or {}).items()}
    return await fleet.store.run(Apply(limits=found, accounts={"codex": names.split()}))


async def _given(fleet: Fleet, count: int | None = None) -> list[tuple[str, str | None]]:
    return [(one.workspace, one.account) for one in (await fleet.claim(count=count)).grants]


async def _holders(fleet: Fleet, name: str) -> set[str]:
    return {str(one) for one in await fleet.redis.smembers(f"{{t}}:slots:account:codex/{name}")}


async def _no(fleet: Fleet, name: str) -> Refusal:
    no = await fleet.why(name)
    assert no is not None
    return no


async def test_each_run_gets_the_account_with_most_room_then_the_least_used_then_the_first(fleet: Fleet) -> None:
    await fleet.host(slots=20)
    await _accounts(fleet, {"a": 3, "b": 2, "c": 2}, "c b a")
    await fleet.queue(*(f"w{number}" for number in range(7)))
    assert [account for _, account in await _given(fleet)] == ["a", "b", "c", "a", "b", "c", "a"]
    await _accounts(fleet, {"a": 30}, "a b c")
    await fleet.queue("x", "y", "z")
    assert [account for _, account in await _given(fleet)] == ["b", "c", "b"]  # without a limit, least used first


async def test_the_account_is_in_the_grant_the_record_and_its_slots_and_gone_with_the_run(fleet: Fleet) -> None:
    await fleet.host()
    await _accounts(fleet)
    await fleet.queue("a")
    grant = (await fleet.claim()).grants[0]
    assert (grant.account, (await fleet.record("a")).account) == ("home", "home")
    assert await _holders(fleet, "home") == {"a"}
    await fleet.end(grant, "failed")
    assert await fleet.redis.keys("{t}:slots:*") == []
    await fleet.store.run(Retry(workspace="a"))
    assert (await fleet.record("a")).account is None


async def test_where_all_are_full_the_refusal_is_of_the_group_and_the_next_ending_lets_one_in(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await _accounts(fleet, {"work": 1, "home": 2})
    await fleet.queue("a", "b", "c", "d", "e")
    grants = (await fleet.claim()).grants
    assert [one.account for one in grants] == ["home", "work", "home"]
    no = await _no(fleet, "d")
    assert (no.key, no.reason, no.used, no.limit, no.until) == ("accounts:codex", "full", 3, 3, None)
    assert (no.text, no.holders) == ("queue at capacity: accounts of codex 3/3", ("a", "b", "c"))
    assert await fleet.redis.zrange("{t}:blocked", 0, -1) == ["accounts:codex"]
    async with fleet.listening("h1") as pokes:
        await fleet.end(grants[1])
        assert await pokes.heard() == ["h1"]
    assert await _given(fleet) == [("d", "work")]
    await fleet.limit("account:codex/home", 3)
    assert await _given(fleet) == [("e", "home")]
    assert await fleet.redis.exists("{t}:blocked") == 0


async def test_the_group_is_judged_after_the_pool_and_before_the_model(fleet: Fleet) -> None:
    await _accounts(fleet, {"work": 0, "home": 0, "codex": 0, "codex:big": 0})
    await fleet.queue("a", agent="codex:big")
    order = ["codex", "accounts:codex", "codex:big"]
    for key, opened in zip(order, (["codex"], ["account:codex/work"], []), strict=True):
        assert (await _no(fleet, "a")).key == key
        for one in opened:
            await fleet.limit(one, None)


async def test_a_usage_limit_shuts_the_account_and_the_others_go_on(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await _accounts(fleet, {"work": 5, "home": 4})
    await fleet.queue("a", "b")
    first, second = (await fleet.claim()).grants
    assert (first.account, second.account) == ("work", "home")
    await fleet.end(first, "failed", retry_after=3600)
    assert await fleet.redis.hkeys("{t}:backoff") == ["account:codex/work"]
    assert await _given(fleet) == [("a", "home")]
    fact = [one.json for one in await fleet.store.last_events(100) if one.type == "RateLimitDetected"]
    said = {"type": "RateLimitDetected", "pool": "codex", "account": "work", "duration": "1h0m0s"}
    assert [json.loads(one) for one in fact] == [said]
    await fleet.end(second, "failed", retry_after=60)
    no = await _no(fleet, "b")
    home = int(str(await fleet.redis.hget("{t}:backoff", "account:codex/home")))
    assert (no.key, no.reason, no.until, no.used, no.limit) == ("accounts:codex", "backoff", home, 1, 9)
    assert no.text.startswith("no account of codex may start: account:codex/home backs off for 1m00s: the provider")
    await fleet.redis.hset("{t}:backoff", "account:codex/home", "1")
    await fleet.redis.zadd("{t}:timers", {"account:codex/home": 1})
    await fleet.redis.hset("{t}:control", "due", "1")
    assert await _given(fleet) == [("b", "home")]


async def test_three_fast_failures_rest_the_account_and_its_row_is_its_own(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await _accounts(fleet, {"work": 9, "home": 0})
    for number in range(3):
        await fleet.queue(f"w{number}")
        (grant,) = (await fleet.claim()).grants
        await fleet.end(grant, "failed")
    assert await fleet.redis.hgetall("{t}:fail_count") == {"account:codex/work": "3"}
    assert await fleet.redis.hkeys("{t}:backoff") == ["account:codex/work"]
    await fleet.store.run(BackOff(key="account:codex/work", clear=True))
    assert await fleet.redis.exists("{t}:fail_count") == 0


async def test_without_a_group_there_is_no_account_and_the_pool_is_shut(fleet: Fleet) -> None:
    await fleet.store.run(Apply(accounts={"claude": ["work"]}))
    grant = await fleet.ask_for("a")
    assert grant.account is None
    await fleet.end(grant, "failed", retry_after=60)
    assert await fleet.redis.hkeys("{t}:backoff") == ["codex"]


@pytest.mark.parametrize("how", ["freeze", "back_off", "limit", "default"])
async def test_what_shuts_an_account_and_opens_it_is_felt_by_the_group(fleet: Fleet, how: str) -> None:
    await fleet.host()
    await _accounts(fleet, names="work")
    key = "account:*" if how == "default" else "account:codex/work"
    shut: Any = {"freeze": Freeze(key=key, by="ana"), "back_off": BackOff(key=key, until=LATER)}.get(how)
    opening: Any = {"freeze": Thaw(key=key), "back_off": BackOff(key=key, clear=True)}.get(how)
    await (fleet.store.run(shut) if shut else fleet.limit(key, 0))
    await fleet.queue("a")
    assert await _given(fleet) == []
    no = await _no(fleet, "a")
    assert (no.key, no.reason) == ("accounts:codex", {"freeze": "frozen", "back_off": "backoff"}.get(how, "full"))
    async with fleet.listening("h1") as pokes:
        await (fleet.store.run(opening) if opening else fleet.limit(key, 1))
        assert await pokes.heard() == ["h1"]
    assert await _given(fleet) == [("a", "work")]


async def test_who_names_an_account_gets_it_and_waits_for_it(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await _accounts(fleet, {"work": 9, "home": 1})
    await fleet.queue("a", "b", keys=["account:codex/home"])
    assert await _given(fleet) == [("a", "home")]
    assert (await _no(fleet, "b")).key == "account:codex/home"
    await fleet.limit("account:codex/home", 2)
    assert await _given(fleet) == [("b", "home")]


async def test_an_account_that_the_pool_does_not_have_is_refused_by_name(fleet: Fleet) -> None:
    """Else it would run under another."""
    await _accounts(fleet)
    with pytest.raises(InvalidQuestion, match="codex has no account hmoe; name one of its accounts: home, work"):
        await fleet.queue("a", keys=["team:a", "account:codex/hmoe"])
    await fleet.queue("b", agent="claude", keys=["account:codex/hmoe"])  # there it is a key as any other


def test_who_tries_the_accounts_that_have_reopened_is_named(world: World) -> None:
    world.ask(Apply(accounts={"codex": ["home", "work"]}))
    for name in ("home", "work"):
        world.ask(BackOff(key=f"account:codex/{name}", duration=1000))
    for name in "abc":
        world.ask(Submit(workspace=name, agent="codex"))
    world.set_clock(START + 4000)
    grants = world.ask(Claim(host="h1", incarnation="i", seq=1)).grants
    no = world.ask(Explain(workspace="c")).refusal
    assert no is not None
    assert (no.key, no.reason, no.holders) == ("accounts:codex", "ramp", tuple(one.workspace for one in grants))


async def test_accounts_change_as_a_whole_and_who_waits_feels_it(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    applied = await _accounts(fleet, {"work": 1}, "work")
    assert applied.changes[0] == Change(path="accounts.codex", now="work")
    await fleet.queue("a", "b", "c")
    (grant,) = (await fleet.claim()).grants
    assert await _given(fleet) == []
    applied = await fleet.store.run(Apply(accounts={"codex": ["work", "home", "work"], "claude": []}))
    assert applied.changes == (Change(path="accounts.codex", was="work", now="home work"),)
    await fleet.limit("account:codex/home", 1)
    assert await _given(fleet) == [("b", "home")]
    assert await _given(fleet) == []
    assert (await fleet.store.run(Apply(limits={"account:codex/work": 1, "account:codex/home": 1}))).changes == ()
    applied = await fleet.store.run(Apply(accounts={}))
    assert applied.changes == (Change(path="accounts.codex", was="home work"),)
    assert await _given(fleet) == [("c", None)]
    assert await _holders(fleet, "work") == {"a"}  # until it ends
    await fleet.end(grant)
    assert await _holders(fleet, "work") == set()
    assert await fleet.redis.keys("{t}:accounts:*") == []
    assert await fleet.redis.hexists("{t}:control", "accounts") is False


async def test_what_a_disk_says_runs_holds_the_account_it_names_also_beyond_a_limit(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await _accounts(fleet, {"work": 1, "home": 0})
    await fleet.track(["x", "y"], status="running", host="h7", account="work")
    await fleet.track(["z"], status="running", host="h7")
    assert await _holders(fleet, "work") == {"x", "y"}
    assert (await fleet.record("z")).account is None
    await fleet.queue("a")
    assert await _given(fleet) == []
    no = await _no(fleet, "a")
    assert (no.used, no.limit) == (2, 1)
    await fleet.track(["x", "y"], status="completed", host="h7")
    assert await _given(fleet) == [("a", "work")]


async def test_askers_and_push_hosts_are_told_the_account(fleet: Fleet) -> None:
    await _accounts(fleet, {"work": 1, "home": 1})
    assert (await fleet.ask_for("a")).account == "home"
    await fleet.host("p1", slots=2, mode="push")
    await fleet.queue("b")
    (told,) = [one.json for one in await fleet.store.last_events(100) if one.type == "SpawnQueued"]
    assert '"account":"work"' in told
    answer = await fleet.store.run(Submit(workspace="c", agent="codex", asker="svc", otherwise="refuse"))
    assert isinstance(answer, Refused)
    assert answer.refusal.key == "accounts:codex"


async def test_accounts_are_shown_and_supposed(fleet: Fleet) -> None:
    await _accounts(fleet, {"work": 0, "home": 0})
    await fleet.queue("a")
    status = await fleet.store.run(GetStatus())
    assert status.accounts == {"codex": ("home", "work")}
    assert [view.key for view in status.keys] == ["*", "account:codex/home", "account:codex/work"]
    answer = await fleet.store.run(Explain(workspace="a", what_if={"account:codex/work": 1}))
    assert isinstance(answer, Explained)
    assert answer.keys[-2:] == (
        KeyView(key="account:codex/home", used=0, limit=0),
        KeyView(key="account:codex/work", used=0, limit=1),
    )
    assert answer.refusal is not None
    assert answer.refusal.reason == "no_host"


async def test_an_account_written_by_hand_that_is_no_name_is_not_used(fleet: Fleet) -> None:
    await fleet.host()
    await _accounts(fleet, names="work")
    await fleet.redis.sadd("{t}:accounts:codex", "../up", "a b", "")
    await fleet.redis.hset("{t}:control", "accounts", "  codex codex: gone ")
    await fleet.queue("a", "b")
    assert await _given(fleet) == [("a", "work"), ("b", "work")]


async def test_an_account_whose_slots_are_damaged_is_named_before_anything_is_changed(fleet: Fleet) -> None:
    await _accounts(fleet, {"work": 0}, "work")
    await fleet.queue("a")
    await fleet.redis.set("{t}:slots:account:codex/home", "by hand")
    before = await fleet.redis.hgetall("{t}:control")
    with pytest.raises(StoreUnusable, match="slots:account:codex/home"):
        await fleet.store.run(Apply(accounts={"codex": ["home"]}))
    assert await fleet.redis.smembers("{t}:accounts:codex") == {"work"}
    assert await fleet.redis.hgetall("{t}:control") == before


async def test_accounts_that_were_deleted_by_hand_are_none_until_they_are_applied(fleet: Fleet) -> None:
    await fleet.host()
    await _accounts(fleet, {"work": 0}, "work")
    await fleet.queue("a", "b")
    await fleet.redis.delete("{t}:accounts:codex")
    await fleet.queue("c")
    await fleet.store.run(Apply(accounts={"codex": ["home"]}))
    assert [account for _, account in await _given(fleet)] == ["home", "home", "home"]


async def test_a_run_of_an_account_is_told_again_with_it(fleet: Fleet) -> None:
    await fleet.host()
    await _accounts(fleet)
    await fleet.queue("a")
    (grant,) = (await fleet.claim()).grants
    (again,) = (await fleet.beat("h1")).unseen
    assert isinstance(again, Grant)
    assert (again.token, again.account) == (grant.token, "home")


async def test_who_goes_to_another_pool_leaves_its_accounts_and_keeps_its_other_keys(fleet: Fleet) -> None:
    await _accounts(fleet)
    keys = ["account:codex/work", "account:cursor/x", "team:a"]
    for name in ("a", "b", "c"):
        await fleet.end(await fleet.ask_for(name, keys=keys))
    await fleet.store.run(Retry(workspace="a", agent="claude"))
    await fleet.store.run(Retry(workspace="b", agent="codex:big"))
    await fleet.track(["c"], agent="claude", status="queued")
    lanes = [(await fleet.redis.hget(f"{{t}}:workspace:{name}", "lane")) for name in ("a", "b", "c")]
    kept = "account:cursor/x team:a"
    assert lanes == [
        f"claude claude {kept}",
        f"codex codex codex:big account:codex/work {kept}",
        f"claude claude {kept}",
    ]
