"""Limit keys at their edges: what is shown of them, what opens them, and what a configuration changes."""

import pytest

from coordinator import operations as ops
from tests.model.world import ROOT, START, World
from tests.servers import REDIS
from tests.unit.operations.stopping import ask
from tests.unit.operations.test_answers_to_the_edge import claim, facts, submit, wire

pytestmark = pytest.mark.parametrize("server_kind", [REDIS], indirect=True)


def reasons(world: World) -> dict[str, str]:
    """Why gates are shut."""
    found: dict[str, str] = world.keys().get("backoff_reason", {})
    return found


# status, explain


def test_every_account_is_shown_also_while_nothing_is_said_of_it(world: World) -> None:
    world.ask(ops.Apply.model_validate({"accounts": {"codex": ["a", "b"], "gemini": ["c"]}}))
    shown = [one.key for one in world.ask(ops.GetStatus()).keys]
    assert shown == ["*", "account:codex/a", "account:codex/b", "account:gemini/c"]


def test_a_key_is_that_of_a_model_where_its_pool_has_started_something(world: World) -> None:
    for key, name in (("codex:big", "a"), ("team:big", "b")):
        world.ask(ops.Limit(key=key, limit=1))
        submit(world, name, keys=[key])
    claim(world, 1)
    texts = {one.key: one.text for one in world.ask(ops.GetStatus()).keys if one.key != "*"}
    assert texts == {
        "codex:big": "queue at capacity: model big 1/1",
        "team:big": "queue at capacity: team:big 1/1",
    }


def test_status_says_which_keys_something_waits_for_and_when_the_next_timer_is_due(world: World) -> None:
    world.ask(ops.BackOff(key="codex", until=START + 5000))
    world.ask(ops.Limit(key="gemini", limit=3))
    submit(world, "a")
    answer = ask(world, ops.GetStatus())
    assert {one["key"]: one.get("waiting") for one in answer["keys"]} == {"*": None, "codex": True, "gemini": None}
    assert answer["next_timer"] == START + 5000


def test_an_explanation_shows_the_limits_that_there_are(world: World) -> None:
    world.ask(ops.Apply.model_validate({"accounts": {"codex": ["a", "b"]}}))
    for key, limit in (("*", 7), ("account:codex/b", 2)):
        world.ask(ops.Limit(key=key, limit=limit))
    submit(world, "a", repo="r")
    told = {one["key"]: one.get("limit") for one in ask(world, ops.Explain(workspace="a"))["keys"]}
    assert told == {"*": 7, "codex": None, "repo:r": None, "account:codex/a": None, "account:codex/b": 2}


def test_a_supposition_shows_sixteen_starts_where_no_other_number_was_asked_for(world: World) -> None:
    world.ask(ops.Limit(key="codex", limit=0))
    submit(world, *(f"w{number}" for number in range(20)))
    world.listen("h1")
    claim(world, 1)
    answer = world.ask(ops.WhatIf(clear=["codex"]))
    assert (len(answer.starts), answer.more) == (16, True)


def test_a_claim_is_answered_as_one(world: World) -> None:
    assert ask(world, ops.Claim(host="h1", incarnation="i", seq=1))["outcome"] == "claimed"


# back_off, thaw


def test_a_gate_that_is_shut_until_the_same_moment_keeps_the_reason_of_the_first(world: World) -> None:
    for reason in ("one", "other"):
        world.ask(ops.BackOff(key="codex", until=START + 5000, reason=reason))
    assert reasons(world) == {"codex": "one"}
    world.ask(ops.BackOff(key="codex", until=START + 6000, reason="other"))
    assert reasons(world) == {"codex": "other"}


@pytest.mark.parametrize("until", [START, START - 1])
def test_a_gate_that_is_only_moved_later_goes_on_trying_when_the_moment_is_over(world: World, until: int) -> None:
    world.ask(ops.BackOff(key="codex", until=START - 5000))
    world.redis.hset(f"{ROOT}:ramp", "codex", f"2 1 {START - 4000} {START - 5000}")
    before = world.keys()
    world.ask(ops.BackOff(key="codex", until=until, at_least=True))
    assert world.keys() == before


def test_thawing_what_is_not_frozen_is_no_news(world: World) -> None:
    world.facts()
    world.ask(ops.Thaw(by="ana"))
    world.ask(ops.Freeze())
    world.ask(ops.Thaw(key="codex", by="ana"))
    assert facts(world, "Thawed") == []
    assert world.ask(ops.GetStatus()).frozen


# apply, hosts


def test_a_configuration_names_a_thousand_hosts_and_no_more(world: World) -> None:
    hosts = [f"h{number}" for number in range(1025)]
    assert wire(world, "apply", {"hosts": hosts[:1024]})["outcome"] == "applied"
    assert wire(world, "apply", {"hosts": hosts})["problems"][0]["field"] == "hosts"


def test_what_has_changed_is_told_in_the_order_of_its_paths(world: World) -> None:
    for number in range(1, 9):
        names = [f"k{number}{other}" for other in range(number)]
        question = {"limits": dict.fromkeys(names, number), "weights": dict.fromkeys(names[:3], number)}
        settings = {"beat": 1000 + number, "kill_grace": 1000 + number, "history": 9000 + number}
        paths = []
        while True:
            answer = world.ask(ops.Apply.model_validate({**question, "settings": settings}))
            paths.append([one.path for one in answer.changes])
            if not answer.more:
                break
        assert paths == [sorted(part) for part in paths]


@pytest.mark.parametrize("value", [1, 2])
def test_a_configuration_that_changes_one_thing_is_told_once(world: World, value: int) -> None:
    world.ask(ops.Apply(limits={"codex": 1, "gemini": value}))
    world.facts()
    for _ in range(2):
        world.ask(ops.Apply(limits={"codex": 3, "gemini": value}))
    told = [fact["changes"] for fact in facts(world, "ConfigChanged")]
    assert told == [[{"path": "limits.codex", "was": 1, "now": 3}]]


def test_hosts_are_told_by_their_names_in_whatever_order_they_beat(world: World) -> None:
    names = [f"host-{number}" for number in range(9)]
    for turn in range(len(names)):
        for at, name in enumerate(names[turn:] + names[:turn]):
            world.set_clock(START + 100 * turn + at)
            world.ask(ops.Renew(host=name, incarnation="i"))
        assert [one.host for one in world.ask(ops.Hosts()).hosts] == ["h1", *names]
