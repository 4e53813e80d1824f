"""host and hosts: quiet, thaw, forget; and what can be seen of them."""

from coordinator.operations import Host, Hosts
from coordinator.operations.host import HostHolds, HostSet, UnknownHost
from tests.unit.operations.asking import Fleet


async def test_a_quiet_host_gets_nothing_and_is_not_woken_until_it_is_thawed(fleet: Fleet) -> None:
    await fleet.host()
    async with fleet.listening("h1") as pokes:
        await fleet.claim()
        assert await fleet.store.run(Host(host="h1", action="quiet")) == HostSet(host="h1", state="quiet")
        await fleet.queue("a")
        assert await pokes.heard() == []
        assert await fleet.granted() == []
        assert (await fleet.store.run(Hosts())).hosts[0].state == "quiet"
        assert await fleet.store.run(Host(host="h1", action="thaw")) == HostSet(host="h1", state="live")
        assert await pokes.next() == "h1"
        assert await fleet.granted() == ["a"]


async def test_what_a_quiet_host_was_woken_for_goes_to_another(fleet: Fleet) -> None:
    await fleet.host("h1")
    await fleet.host("h2")
    async with fleet.listening("h1", "h2") as pokes:
        await fleet.claim("h1")
        await fleet.claim("h2")
        await fleet.queue("a")
        first = await pokes.next()
        await fleet.store.run(Host(host=first, action="quiet"))
        await fleet.claim(first)
        assert {first, await pokes.next()} == {"h1", "h2"}


async def test_an_idle_host_is_forgotten_and_leaves_nothing(fleet: Fleet) -> None:
    await fleet.queue("a")
    await fleet.host()
    assert await fleet.store.run(Host(host="h1", action="forget")) == HostSet(host="h1", state="forgotten")
    assert await fleet.redis.exists("{t}:hosts", "{t}:host:h1", "{t}:serves:h1", "{t}:served:codex") == 0
    for action in ("quiet", "thaw", "forget"):
        assert await fleet.store.run(Host.model_validate({"host": "h1", "action": action})) == UnknownHost(host="h1")


async def test_a_host_that_holds_runs_is_forgotten_only_when_it_is_dead(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.queue("a", "b")
    grants = (await fleet.claim()).grants
    answer = await fleet.store.run(Host(host="h1", action="forget"))
    assert isinstance(answer, HostHolds)
    assert (answer.refusal.holders, answer.refusal.used) == (("a", "b"), 2)
    dead = await fleet.store.run(Host(host="h1", action="forget", dead=True))
    assert isinstance(dead, HostSet)
    assert (dead.state, sorted(dead.requeued)) == ("forgotten", ["a", "b"])
    assert (await fleet.end(grants[0])).outcome == "already"
    await fleet.host("h2")
    assert await fleet.granted("h2") == ["a", "b"]
    assert (await fleet.end(grants[0])).outcome == "stale"


async def test_a_dead_host_with_many_runs_is_forgotten_in_parts(fleet: Fleet) -> None:
    await fleet.host(slots=100)
    await fleet.track([f"w{number}" for number in range(70)])
    held = 0
    while held < 70:
        held += len(await fleet.granted())
    first = await fleet.store.run(Host(host="h1", action="forget", dead=True))
    assert isinstance(first, HostSet)
    assert (first.state, len(first.requeued), first.more) == ("forgetting", 64, True)
    second = await fleet.store.run(Host(host="h1", action="forget", dead=True))
    assert isinstance(second, HostSet)
    assert (second.state, len(second.requeued), second.more) == ("forgotten", 6, False)


async def test_hosts_are_shown_by_name_with_what_they_hold(fleet: Fleet) -> None:
    await fleet.host("h2", "codex")
    await fleet.host("h1", "claude")
    await fleet.queue("a")
    await fleet.claim("h2")
    await fleet.beat("h1")  # the last one that was heard of is not the last one that is shown
    first, second = (await fleet.store.run(Hosts())).hosts
    assert (first.host, first.pools, first.held, first.waiting) == ("h1", ("claude",), (), None)
    assert (second.host, second.held, second.waiting is not None) == ("h2", ("a",), True)


async def test_a_host_that_missed_three_beats_is_silent(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.redis.hset("{t}:host:h1", "beat", "1")
    assert (await fleet.store.run(Hosts())).hosts[0].state == "silent"
    await fleet.beat("h1")
    assert (await fleet.store.run(Hosts())).hosts[0].state == "live"
