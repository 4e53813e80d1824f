"""What is supposed is what then comes: the same fleet is asked, and then really does it."""

from typing import Any

import pytest

from coordinator import operations as ops
from coordinator.operations.claim import Claim
from coordinator.operations.what_if import Supposed
from tests.model.world import ROOT, START, World
from tests.servers import REDIS
from tests.unit.operations.stopping import changes_nothing, damage

pytestmark = pytest.mark.parametrize("server_kind", [REDIS], indirect=True)

Starts = list[tuple[str, str]]  # (workspace, host)


def _host(world: World, name: str, slots: int = 1, **more: Any) -> None:
    """A worker that asked for work, got none, and listens."""
    world.ask(ops.Renew.model_validate({"host": name, "incarnation": "i", "pools": ["codex"], "slots": slots, **more}))
    if more.get("mode") != "push":
        assert _claim(world, name, 1) == []
        world.listen(name)


def _claim(world: World, name: str, seq: int) -> list[str]:
    return [one.workspace for one in world.ask(Claim(host=name, incarnation="i", seq=seq)).grants]


def _queue(world: World, *names: str, **more: Any) -> None:
    for name in names:
        world.ask(ops.Submit.model_validate({"workspace": name, "agent": "codex", **more}))


def _supposed(world: World, **asked: Any) -> Supposed:
    """What would start; nothing but the question's own reading happened."""
    world.heard()
    before = world.keys()
    told = world.ask(ops.WhatIf.model_validate(asked))
    assert world.keys() == before
    assert world.heard() == []
    return told


def _starts(told: Supposed) -> Starts:
    return [(one.workspace, one.host) for one in told.starts]


def _then(world: World, **limits: int | None) -> Starts:
    """The limits are set, every host that is poked asks for work, and so on until none is; what has started."""
    world.facts()
    if len(limits) == 1:
        for key, limit in limits.items():
            world.ask(ops.Limit(key=key, limit=limit, clear=limit is None or None))
    else:
        world.ask(ops.Apply(limits={key: limit for key, limit in limits.items() if limit is not None}))
    seqs: dict[str, int] = {}
    while poked := sorted(world.heard()):
        for host in poked:
            seqs[host] = seqs.get(host, 1) + 1
            _claim(world, host, seqs[host])
    return [(fact["workspace"], fact["host"]) for fact in world.facts() if fact["type"] == "AgentStarted"]


def test_hosts_that_are_poked_at_once_come_in_the_order_of_their_names(world: World) -> None:
    world.ask(ops.Limit(key="codex", limit=0))
    hosts = [f"p{number}" for number in range(8)]
    for name in hosts:
        _host(world, name)
        _queue(world, f"for-{name}", host=name)
    told = _starts(_supposed(world, clear=["codex"]))
    assert told == [(f"for-{name}", name) for name in hosts] == _then(world, codex=None)


def test_of_several_limits_none_wakes_a_host_before_all_are_set(world: World) -> None:
    world.ask(ops.Apply(limits={"k1": 0, "k2": 0}))
    _queue(world, "one", keys=["k1"])
    _queue(world, "other", agent="claude", keys=["k2"])
    _host(world, "z", slots=2, pools=["claude", "codex"])
    world.set_clock(START + 1)
    _host(world, "a", pools=["claude"])
    told = _starts(_supposed(world, limits={"k1": 1, "k2": 1}))
    assert told == [("other", "z"), ("one", "z")]  # who has waited longer has room for both
    assert told == _then(world, k1=1, k2=1)


def test_of_those_whose_time_has_come_each_claim_moves_some(world: World) -> None:
    soon, later = [f"s{number:02}" for number in range(17)], [f"w{number:02}" for number in range(24)]
    world.ask(ops.Limit(key="codex", limit=0))
    _host(world, "p", slots=64)
    _queue(world, *soon)
    _queue(world, *later, not_before=START + 1000)
    world.set_clock(START + 1000)
    told = _supposed(world, limits={"codex": 60}, count=60)
    assert _starts(told) == [(name, "p") for name in (*soon, *later)]


def test_a_walk_over_many_keys_goes_on_from_claim_to_claim(world: World) -> None:
    world.ask(ops.Limit(key="repo:*", limit=0))
    _host(world, "p", slots=100)
    for number in range(140):
        _queue(world, f"w{number:03}", repo=f"r{number:03}", priority=9 if number > 130 else 5)
    told = _starts(_supposed(world, limits={"repo:*": 1}, count=40))
    soon, urgent, rest = range(16), range(131, 140), range(16, 31)
    assert told == [(f"w{number:03}", "p") for number in (*soon, *urgent, *rest)]


def _kept(told: Supposed) -> dict[str, str]:
    return {one.workspace: one.refusal.key for one in told.kept}


def _poked_once(world: World, *names: str) -> None:
    """They were told to look, and have not come since."""
    world.redis.zadd(f"{ROOT}:poked", dict.fromkeys(names, START))


def test_ten_that_wait_are_told_with_what_keeps_them(world: World) -> None:
    world.ask(ops.Limit(key="repo:*", limit=0))
    for number in range(12):
        _queue(world, f"w{number:02}", repo=f"r{number:02}")
    assert _kept(_supposed(world)) == {f"w{number:02}": f"repo:r{number:02}" for number in range(10)}


def test_of_each_route_whose_hosts_are_full_the_first_is_told(world: World) -> None:
    for number in range(12):
        _host(world, f"p{number:02}", labels=[f"l{number:02}"])
        _queue(world, f"runs-{number:02}", f"w{number:02}", f"x{number:02}", labels=[f"l{number:02}"])
        assert _claim(world, f"p{number:02}", 2) == [f"runs-{number:02}"]
    told = _supposed(world)
    assert [(one.workspace, one.refusal.reason) for one in told.kept] == [
        (f"w{number:02}", "hosts_full") for number in range(10)
    ]


def test_what_nothing_keeps_but_nobody_comes_for_is_not_kept(world: World) -> None:
    _queue(world, "w")  # the host has room, works, and will ask for it by itself
    told = _supposed(world)
    assert (_starts(told), told.kept, told.more) == ([], (), False)


@pytest.mark.parametrize(("refused", "starts", "more"), [(63, [("free", "p")], False), (64, [], True)])
def test_no_more_than_64_lanes_are_looked_at(world: World, refused: int, starts: Starts, more: bool) -> None:
    world.ask(ops.Limit(key="codex", limit=0))
    world.ask(ops.Limit(key="k:*", limit=0))
    _host(world, "p", slots=9)
    for number in range(refused):
        _queue(world, f"w{number:02}", keys=[f"k:{number}"])
    _queue(world, "free")
    told = _supposed(world, clear=["codex"])
    assert (_starts(told), told.more) == (starts, more)


@pytest.mark.parametrize(("gone", "starts"), [(63, [("w", "p")]), (64, [])])
def test_no_more_than_64_hosts_come_and_one_that_went_silent_or_was_removed_gets_nothing(
    world: World, gone: int, starts: Starts
) -> None:
    _host(world, "p")
    world.ask(ops.Limit(key="codex", limit=0))
    _queue(world, "w")
    silent = [f"a{number:02}" for number in range(gone)]
    for name in silent[1:]:
        _host(world, name, slots=9)
        world.redis.hset(f"{ROOT}:host:{name}", "beat", 1)
    _poked_once(world, *silent, "p")
    told = _supposed(world, clear=["codex"])
    assert (_starts(told), told.more) == (starts, True)


@pytest.mark.parametrize(("waiting", "more"), [(3, False), (4, True)])
def test_there_is_more_where_more_would_start_than_were_asked_for(world: World, waiting: int, more: bool) -> None:
    world.ask(ops.Limit(key="codex", limit=0))
    _host(world, "p", slots=9)
    _queue(world, *(f"w{number}" for number in range(waiting)))
    told = _supposed(world, clear=["codex"], count=3)
    assert (_starts(told), told.more) == ([(f"w{number}", "p") for number in range(3)], more)


def test_hosts_that_do_not_ask_are_handed_what_they_would_be_handed(world: World) -> None:
    world.ask(ops.Limit(key="codex", limit=0))
    for number in range(3):
        _host(world, f"p{number}", mode="push")
    _queue(world, *(f"w{number}" for number in range(4)))
    told = _supposed(world, clear=["codex"])
    assert _starts(told) == [(f"w{number}", f"p{number}") for number in range(3)]


def test_what_is_due_is_moved_before_hosts_that_do_not_ask_are_served(world: World) -> None:
    for number in range(2):
        _host(world, f"p{number}", mode="push")
        _queue(world, f"w{number}", not_before=START + 1000)
    world.set_clock(START + 1000)
    _poked_once(world, "p0", "p1")
    assert _starts(_supposed(world)) == [("w0", "p0"), ("w1", "p1")]


def test_lanes_take_turns_from_host_to_host_as_they_will(world: World) -> None:
    world.ask(ops.Limit(key="codex", limit=0))
    for number in range(6):
        _host(world, f"p{number}")
    _queue(world, "a1", "a2", "a3", repo="one")
    _queue(world, "b1", "b2", "b3", repo="two")
    told = _starts(_supposed(world, clear=["codex"]))
    assert [name for name, _ in told] == ["a1", "b1", "a2", "b2", "a3", "b3"]
    assert told == _then(world, codex=None)


def test_a_restart_is_still_met_by_the_first_change_after_a_supposition(world: World) -> None:
    _queue(world, "w")
    before = world.redis.hget(f"{ROOT}:control", "epoch")
    world.load()  # its memory is gone, as after a restart
    _supposed(world, clear=["codex"])
    assert world.redis.hget(f"{ROOT}:control", "epoch") == before
    _queue(world, "x")
    assert world.redis.hget(f"{ROOT}:control", "epoch") != before


@pytest.mark.parametrize(
    ("name", "kind"), [("backoff_reason", "hash"), ("poked", "zset"), ("limits", "hash"), ("routes", "zset")]
)
def test_a_damaged_key_is_named_and_nothing_is_supposed(world: World, name: str, kind: str) -> None:
    damage(world, name)
    changes_nothing(world, ops.WhatIf(clear=["codex"]), name, kind)


def test_damage_that_keeps_a_limit_from_being_set_is_met_by_the_question_too(world: World) -> None:
    _host(world, "p")
    _queue(world, "runs", keys=["k"])
    assert _claim(world, "p", 2) == ["runs"]
    world.ask(ops.Limit(key="k", limit=0))
    for agent in ("codex", "claude"):
        _queue(world, f"w-{agent}", agent=agent, keys=["k"])
    _host(world, "q", slots=9, pools=["codex", "claude"])  # it was refused: both lanes stand behind k
    damage(world, "blocked:k:codex")
    for operation in (ops.Limit(key="k", limit=1), ops.WhatIf(limits={"k": 1})):  # k stays full
        changes_nothing(world, operation, "blocked:k:codex", "zset")


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("b", "c"), ("c", "d"), ("d", "z")])
def test_of_defaults_with_many_keys_the_last_by_name_is_felt_first(world: World, one: str, other: str) -> None:
    world.ask(ops.Apply(limits={f"{one}:*": 0, f"{other}:*": 0}))
    _host(world, "p", slots=100)
    for kind in (other, one):
        for number in range(130):
            _queue(world, f"{kind}{number:03}", keys=[f"{kind}:{number:03}"], priority=9 if number == 100 else 5)
    told = _starts(_supposed(world, limits={f"{other}:*": 1, f"{one}:*": 1}, count=64))
    # a claim opens 64 keys and starts 16: the hundredth of the first are opened by the third
    order = [name for name, _ in told if name[1:] == "100"]
    assert (order, len(told)) == ([f"{other}100", f"{one}100"], 64)


@pytest.mark.parametrize("mode", ["pull", "push"])
@pytest.mark.parametrize(("waiting", "more"), [(3, False), (4, True)])
def test_there_is_more_also_where_one_host_is_handed_all_of_it(
    world: World, mode: str, waiting: int, more: bool
) -> None:
    world.ask(ops.Limit(key="codex", limit=0))
    _host(world, "p", slots=9, mode=mode)
    _queue(world, *(f"w{number}" for number in range(waiting)))
    told = _supposed(world, clear=["codex"], count=3)
    assert (_starts(told), told.more) == ([(f"w{number}", "p") for number in range(3)], more)


@pytest.mark.parametrize("mode", ["pull", "push"])
@pytest.mark.parametrize("key", ["repo:r", "a"])
def test_all_limits_are_set_before_anything_starts(world: World, mode: str, key: str) -> None:
    world.ask(ops.Limit(key="codex", limit=0))
    _host(world, "p", slots=9, mode=mode)
    _queue(world, "w", repo="r", keys=["a"])
    told = _supposed(world, limits={"codex": 5, key: 0})
    assert (_starts(told), _kept(told)) == ([], {"w": key})
