"""The accounts of a pool together: which of them gives the reason, who holds or tries them, which keys are theirs."""

import pytest

from coordinator.errors import InvalidQuestion, StoreUnusable
from coordinator.models import Refusal
from coordinator.operations import Apply, BackOff, Explain, Submit
from tests.model.world import START, World
from tests.unit.operations.asking import Fleet

LATER = 4_102_444_800_000
MINUTE = 60_000


async def _accounts(fleet: Fleet, limits: dict[str, int] | None = None, names: str = "home work") -> None:
    found = {f"account:codex/{name}": limit for name, limit in (limits or {}).items()}
    await fleet.store.run(Apply(limits=found, accounts={"codex": names.split()}))


async def _no(fleet: Fleet, name: str) -> Refusal:
    no = await fleet.why(name)
    assert no is not None
    return no


async def test_a_name_of_fifty_letters_is_an_account_and_a_longer_one_is_not(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await _accounts(fleet, names="n" * 50)
    await fleet.redis.sadd("{t}:accounts:codex", "m" * 51)
    await fleet.queue("a", "b")
    assert [one.account for one in (await fleet.claim()).grants] == ["n" * 50, "n" * 50]


async def test_of_accounts_that_open_at_one_moment_the_first_by_name_gives_the_reason(fleet: Fleet) -> None:
    await _accounts(fleet)
    for name in ("work", "home"):
        await fleet.store.run(BackOff(key=f"account:codex/{name}", until=LATER, reason=f"of {name}"))
    await fleet.queue("a")
    no = await _no(fleet, "a")
    assert (no.reason, no.until) == ("backoff", LATER)
    assert no.text.startswith("no account of codex may start: account:codex/home backs off")


@pytest.mark.parametrize(("full", "shut"), [("home", "work"), ("work", "home")])
async def test_an_account_that_is_full_gives_the_reason_whatever_the_others_wait_for(
    fleet: Fleet, full: str, shut: str
) -> None:
    await _accounts(fleet, {full: 0, shut: 3})
    await fleet.store.run(BackOff(key=f"account:codex/{shut}", until=LATER))
    await fleet.queue("a")
    no = await _no(fleet, "a")
    assert (no.reason, no.until, no.text) == ("full", LATER, "queue at capacity: accounts of codex 0/3")


async def test_of_those_that_hold_the_accounts_ten_are_named(fleet: Fleet) -> None:
    await _accounts(fleet, {"home": 6, "work": 6})
    names = {f"w{number}" for number in range(12)}
    for name in sorted(names):
        await fleet.ask_for(name)
    await fleet.queue("a")
    holders = (await _no(fleet, "a")).holders
    assert (len(holders), len(names.intersection(holders))) == (10, 10)
    assert list(holders) == sorted(holders)


@pytest.mark.parametrize(("home", "work"), [("bd", "ac"), ("abcdefgh", "ijklmnop")])
def test_of_those_that_try_the_accounts_ten_are_named_in_their_order(world: World, home: str, work: str) -> None:
    world.ask(Apply(accounts={"codex": ["home", "work"]}))
    for name, trying in (("home", home), ("work", work)):
        minutes = " ".join(f"{one}={START + MINUTE}" for one in trying)
        row = f"{len(trying)} {len(trying)} {START} {START} {minutes}"
        world.redis.hset("{model}:ramp", f"account:codex/{name}", row)
        world.redis.zadd("{model}:timers", {f"account:codex/{name}": START + MINUTE})
    world.ask(Submit(workspace="waits", agent="codex"))
    no = world.ask(Explain(workspace="waits")).refusal
    assert no is not None
    assert (no.key, no.reason) == ("accounts:codex", "ramp")
    assert len(no.holders) == min(10, len(home + work))
    assert list(no.holders) == sorted(set(home + work).intersection(no.holders))


async def test_an_account_that_does_not_exist_is_wrong_in_its_place(fleet: Fleet) -> None:
    await _accounts(fleet)
    with pytest.raises(InvalidQuestion) as found:
        await fleet.queue("a", keys=["team:a", "account:codex/hmoe"])
    assert [problem.field for problem in found.value.problems] == ["keys.1"]


async def test_who_waits_for_an_account_by_name_starts_when_a_run_gives_it_back(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await _accounts(fleet, {"home": 1, "work": 9})
    await fleet.queue("a", "b", keys=["account:codex/home"])
    (grant,) = (await fleet.claim()).grants
    async with fleet.listening("h1") as pokes:
        await fleet.end(grant)
        assert await pokes.heard() == ["h1"]
    (grant,) = (await fleet.claim()).grants
    assert (grant.workspace, grant.account) == ("b", "home")


@pytest.mark.parametrize("names", ["home", "home work"])
@pytest.mark.parametrize(
    "key",
    [
        "slots:codex", "groups:codex", "blocked:codex:codex", "groups:accounts:codex", "blocked:accounts:codex:codex",
        "slots:account:codex/home", "groups:account:codex/home", "slots:codex:big",
    ],
)  # fmt: skip
async def test_a_damaged_key_of_the_pool_or_its_accounts_is_named_before_anything_is_queued(
    fleet: Fleet, key: str, names: str
) -> None:
    await _accounts(fleet, names=names)
    await fleet.redis.set(f"{{t}}:{key}", "by hand")
    with pytest.raises(StoreUnusable, match=key):
        await fleet.submit("a", "codex:big")
    assert await fleet.redis.exists("{t}:workspace:a", "{t}:status:queued") == 0


async def test_a_damaged_key_of_accounts_that_a_pool_does_not_have_holds_up_nothing(fleet: Fleet) -> None:
    await fleet.store.run(Apply(accounts={"claude": ["work"]}))
    await fleet.redis.set("{t}:groups:accounts:codex", "by hand")
    await fleet.queue("a")
