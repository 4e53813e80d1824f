"""What verbs answer and leave behind where a count, a moment or a word is just at its edge."""

import json
from typing import Any

import pytest

from coordinator import operations as ops
from tests.model.world import ROOT, START, World
from tests.servers import REDIS
from tests.unit.operations.stopping import ask

pytestmark = pytest.mark.parametrize("server_kind", [REDIS], indirect=True)

HOST = {"host": "h1", "incarnation": "i"}


def wire(world: World, verb: str, question: dict[str, Any]) -> dict[str, Any]:
    """The answer to a question as any language may write it."""
    text: Any = world.redis.fcall(f"dispatch_{verb}", 1, ROOT, json.dumps(question))
    answer: dict[str, Any] = json.loads(text)
    return answer


def submit(world: World, *names: str, **more: Any) -> None:
    for name in names:
        answer = world.ask(ops.Submit.model_validate({"workspace": name, "agent": "codex", **more}))
        assert answer.outcome == "queued"


def claim(world: World, seq: int, host: str = "h1", count: int | None = None) -> dict[str, int]:
    """What a host is granted, with the tokens."""
    answer = world.ask(ops.Claim(host=host, incarnation="i", seq=seq, count=count))
    return {grant.workspace: grant.token for grant in answer.grants}


def push_host(world: World, name: str, pool: str, slots: int = 1) -> None:
    world.ask(ops.Renew(host=name, incarnation="i", pools=[pool], slots=slots, mode="push"))


def record(world: World, name: str) -> dict[str, str]:
    found: dict[str, str] = world.keys()[f"workspace:{name}"]
    return found


def facts(world: World, kind: str) -> list[dict[str, Any]]:
    """Those of a kind since the last look."""
    return [fact for fact in world.facts() if fact["type"] == kind]


# renew


@pytest.mark.parametrize(("after", "retry_in"), [(29_999, 1), (30_000, None)])
def test_a_name_is_free_for_another_machine_three_beats_after_the_last(
    world: World, after: int, retry_in: int | None
) -> None:
    world.ask(ops.Renew(host="h2", incarnation="i", machine="one"))
    world.set_clock(START + after)
    answer = ask(world, ops.Renew(host="h2", incarnation="k", machine="other"))
    assert (answer["outcome"], answer.get("retry_in")) == ("taken" if retry_in else "renewed", retry_in)


def test_a_host_that_waits_keeps_its_place_in_line_when_it_beats(world: World) -> None:
    world.ask(ops.Renew(host="h2", incarnation="i", pools=["codex"], slots=1))
    submit(world, "first")
    world.ask(ops.Cancel(workspace="first"))  # so that there is a route to wait for
    for seq, host in enumerate(("h1", "h2")):
        world.listen(host)
        world.set_clock(START + seq)
        assert claim(world, 1, host) == {}
    world.set_clock(START + 5)
    world.ask(ops.Renew(host="h1", incarnation="i"))
    submit(world, "next")
    assert world.heard() == ["h1"]


@pytest.mark.parametrize(("field", "most"), [("held", 1024), ("endings", 256)])
def test_a_beat_tells_of_so_many_and_no_more(world: World, field: str, most: int) -> None:
    one = {"token": 1} if field == "held" else {"token": 1, "status": "failed"}
    runs = [{"workspace": f"w{number}", **one} for number in range(most + 1)]
    assert wire(world, "renew", {**HOST, field: runs[:most]})["outcome"] == "renewed"
    answer = wire(world, "renew", {**HOST, field: runs})
    assert (answer["outcome"], answer["problems"][0]["field"]) == ("invalid", field)


@pytest.mark.parametrize("grace", [None, 7000])
def test_a_beat_learns_how_long_an_agent_has_to_end(world: World, grace: int | None) -> None:
    if grace:
        world.ask(ops.Apply.model_validate({"settings": {"kill_grace": grace}}))
    assert ask(world, ops.Renew(host="h1", incarnation="i"))["kill_grace"] == (grace or 15_000)


def test_the_beat_of_a_push_host_hands_work_to_one_host_and_leaves_the_other_to_the_next_call(world: World) -> None:
    world.ask(ops.Limit(key="team", limit=1))
    push_host(world, "p1", "claude")
    push_host(world, "p2", "shell")
    for name, agent, keys in (("a", "claude", ["team"]), ("b", "claude", []), ("c", "shell", ["team"])):
        world.ask(ops.Submit(workspace=name, agent=agent, keys=keys))
    assert [fact["workspace"] for fact in facts(world, "SpawnQueued")] == ["a"]
    ended = {"workspace": "a", "token": int(record(world, "a")["token"]), "status": "completed"}
    world.ask(ops.Renew.model_validate({"host": "p1", "incarnation": "i", "endings": [ended]}))
    (first,) = facts(world, "SpawnQueued")
    world.ask(ops.Reap())
    (second,) = facts(world, "SpawnQueued")
    assert {first["workspace"], second["workspace"]} == {"b", "c"}


# query


@pytest.mark.parametrize(("known", "more"), [(1000, False), (1001, True)])
def test_a_page_looks_at_a_thousand_records_and_says_where_to_go_on(world: World, known: int, more: bool) -> None:
    world.redis.zadd(f"{ROOT}:status:failed", {f"w{number}": START + number for number in range(known)})
    answer = world.ask(ops.Query(status="failed", repo="none"))
    assert (answer.workspaces, answer.cursor is not None) == ((), more)


@pytest.mark.parametrize(("known", "shown", "more"), [(50, 50, False), (51, 50, True)])
def test_a_page_has_fifty_names_where_no_other_number_was_asked_for(
    world: World, known: int, shown: int, more: bool
) -> None:
    world.redis.zadd(f"{ROOT}:status:failed", {f"w{number}": START + number for number in range(known)})
    answer = world.ask(ops.Query(status="failed", names=True))
    assert (len(answer.names), answer.cursor is not None) == (shown, more)


# complete


def test_one_whose_deadline_comes_with_the_report_of_its_end_has_failed_before(world: World) -> None:
    submit(world, "a", deadline=START + 1000)
    world.set_clock(START + 1000)
    answer = world.ask(ops.Complete(workspace="a", status="completed"))
    assert (answer.outcome, answer.status) == ("already", "failed")


def test_a_push_host_that_takes_the_next_with_an_ending_waits_for_no_more_than_it_has_room_for(world: World) -> None:
    push_host(world, "p1", "claude")
    for name in ("a", "b"):
        world.ask(ops.Submit(workspace=name, agent="claude"))
    token = int(record(world, "a")["token"])
    claims = {"host": "p1", "incarnation": "i", "seq": 1}
    question = {"workspace": "a", "token": token, "status": "completed", "claim": claims}
    answer = world.ask(ops.Complete.model_validate(question))
    assert [grant.workspace for grant in answer.grants] == ["b"]
    keys = world.keys()
    assert "waiting" not in keys["host:p1"]
    assert "waiting:claude" not in keys


# kill


@pytest.mark.parametrize("reason", [None, "fire"])
def test_a_kill_of_all_freezes_with_its_reason(world: World, reason: str | None) -> None:
    world.ask(ops.Kill(all=True, by="ana", reason=reason))
    freeze = world.ask(ops.GetStatus()).freeze
    assert freeze
    assert (freeze.by, freeze.reason) == ("ana", reason or "kill")


def test_a_kill_in_parts_comes_to_all_that_run_and_all_that_wait(world: World) -> None:
    names = [f"w{number}" for number in range(1400)]
    for name in names[:700]:
        row: dict[Any, Any] = {"status": "running", "agent": "codex", "lane": "codex codex"}
        world.redis.hset(f"{ROOT}:workspace:{name}", mapping=row)
    world.redis.sadd(f"{ROOT}:slots:codex", *names[:700])
    for start in range(700, 1400, 175):
        some = [{"workspace": name, "agent": "codex"} for name in names[start : start + 175]]
        world.ask(ops.Track.model_validate({"workspaces": some}))
    running, cleared, cursor = set[str](), 0, None
    for _ in range(40):
        answer = world.ask(ops.Kill(agent="codex", cursor=cursor))
        running |= set(answer.running)
        cleared += answer.cleared
        cursor = answer.cursor
        if not cursor:
            break
    assert (cursor, running, cleared) == (None, set(names[:700]), 700)


# submit, retry


def test_an_empty_list_of_labels_is_none(world: World) -> None:
    assert wire(world, "submit", {"workspace": "a", "agent": "codex", "labels": []})["outcome"] == "queued"
    assert "labels" not in record(world, "a")


@pytest.mark.parametrize(("agent", "session"), [("codex:big", "s1"), ("gemini", None)])
def test_one_that_is_asked_for_again_goes_on_with_its_session_in_the_same_pool(
    world: World, agent: str, session: str | None
) -> None:
    submit(world, "a")
    token = claim(world, 1)["a"]
    world.ask(ops.Complete(workspace="a", token=token, status="completed", session="s1"))
    submit(world, "a", agent=agent, again=True)
    (grant,) = world.ask(ops.Claim(host="h1", incarnation="i", seq=2)).grants
    assert grant.session == session


@pytest.mark.parametrize("field", ["agent", "answer", "front", "not_before", "deadline"])
def test_what_is_for_one_workspace_is_refused_for_all_of_a_status(world: World, field: str) -> None:
    value = {"front": True, "not_before": START + 9000, "deadline": START + 9000}.get(field, "codex")
    answer = wire(world, "retry", {"status": "failed", field: value})
    assert (answer["outcome"], [one["field"] for one in answer["problems"]]) == ("invalid", [field])


def test_the_times_of_a_retry_are_not_judged_while_it_runs(world: World) -> None:
    submit(world, "a")
    claim(world, 1)
    answer = wire(world, "retry", {"workspace": "a", "deadline": START - 1})
    assert (answer["outcome"], answer["count"]) == ("done", 0)


def test_a_retry_passes_over_a_record_that_names_no_lane(world: World) -> None:
    world.redis.hset(f"{ROOT}:workspace:a", "status", "failed")
    assert world.ask(ops.Retry(workspace="a")).count == 0


def test_a_retry_that_names_no_times_does_not_judge_those_that_stand_there_by_hand(world: World) -> None:
    submit(world, "a")
    world.ask(ops.Cancel(workspace="a"))
    world.redis.hset(f"{ROOT}:workspace:a", mapping={"not_before": START + 9000, "deadline": START + 5000})
    assert world.ask(ops.Retry(workspace="a")).count == 1


@pytest.mark.parametrize(
    ("fields", "question", "lane"),
    [
        ({}, {"agent": "gemini"}, "gemini gemini"),
        ({}, {"front": True}, "codex codex #11"),
        ({"requires": "h9", "pinned": "1"}, {}, "codex codex"),
    ],
)
def test_a_retry_waits_in_the_lane_of_what_it_asks_for(
    world: World, fields: dict[Any, Any], question: dict[str, Any], lane: str
) -> None:
    submit(world, "a")
    world.ask(ops.Cancel(workspace="a"))
    if fields:
        world.redis.hset(f"{ROOT}:workspace:a", mapping={**fields, "lane": "codex@h9 codex"})
    world.ask(ops.Retry.model_validate({"workspace": "a", **question}))
    assert (record(world, "a")["lane"], list(world.keys()[f"lane:{lane}"])) == (lane, ["a"])


# what is told of a question that lacks something


@pytest.mark.parametrize(
    ("verb", "question", "field"),
    [
        ("kill", {}, "workspace"),
        ("kill", {"agent": "codex", "host": "h1"}, "workspace"),
        ("cancel", {}, "workspace"),
        ("back_off", {"key": "codex"}, "until"),
        ("freeze", {"until": START}, "until"),
    ],
)
def test_a_question_that_lacks_something_is_told_which_field(
    world: World, verb: str, question: dict[str, Any], field: str
) -> None:
    answer = wire(world, verb, question)
    assert (answer["outcome"], [one["field"] for one in answer["problems"]]) == ("invalid", [field])


def test_a_default_that_was_raised_by_hand_is_felt_when_it_is_set_to_the_same(world: World) -> None:
    world.ask(ops.Renew.model_validate({**HOST, "pools": ["codex"], "slots": 4}))
    world.ask(ops.Limit(key="repo:*", limit=0))
    submit(world, "w", org="o", repo="x")
    world.redis.hset(f"{ROOT}:limits", "repo:*", 5)
    assert claim(world, 1) == {}
    assert wire(world, "limit", {"key": "repo:*", "limit": 5})["was"] == 5
    assert [*claim(world, 2)] == ["w"]


def test_a_token_beyond_all_that_were_given_lifts_no_fence(world: World) -> None:
    wire(
        world, "renew", {**HOST, "pools": ["codex"], "slots": 4, "held": [{"workspace": "nobody", "token": 10**14 - 1}]}
    )
    submit(world, "w1", "w2")
    one, two = claim(world, 1).values()
    assert START <= one < two < START + 1000


@pytest.mark.parametrize("token", [5 * 10**13, 10**14 - 1])
def test_a_run_with_such_a_token_is_nobodys(world: World, token: int) -> None:
    world.ask(ops.Renew.model_validate({**HOST, "pools": ["codex"], "slots": 4}))
    submit(world, "w")
    (own,) = claim(world, 1).values()
    told = {"workspace": "w", "token": token, "agent": "codex"}
    assert wire(world, "restore", {**HOST, "runs": [told]}).get("lost") == ["w"]
    assert wire(world, "renew", {**HOST, "epoch": 1, "held": [told]})["lost"] == ["w"]
    assert record(world, "w")["token"] == str(own)


def test_a_fence_beyond_all_tokens_was_written_by_hand_and_is_none(world: World) -> None:
    world.ask(ops.Renew.model_validate({**HOST, "pools": ["codex"], "slots": 4}))
    world.redis.set(f"{ROOT}:fence", 10**14 - 1)
    submit(world, "w1", "w2")
    one, two = claim(world, 1).values()
    assert START <= one < two < START + 1000


@pytest.mark.parametrize("cursor", ["abc", "q", "-1", "1a", "9" * 20])
@pytest.mark.parametrize(
    ("verb", "question"), [("cancel", {"status": "queued"}), ("retry", {}), ("retry", {"status": "completed"})]
)
def test_a_cursor_that_no_answer_gave_is_named(world: World, verb: str, question: dict[str, Any], cursor: str) -> None:
    submit(world, "w")
    before = world.keys()
    answer = wire(world, verb, {**question, "cursor": cursor})
    assert (answer["outcome"], answer["problems"][0]["field"]) == ("invalid", "cursor")
    assert world.keys() == before


@pytest.mark.parametrize("cursor", ["abc", "zz", "5", "s5", "q" + "9" * 20, "q-1"])
def test_a_cursor_that_no_kill_gave_is_named_and_nothing_is_frozen(world: World, cursor: str) -> None:
    submit(world, "w")
    before = world.keys()
    answer = wire(world, "kill", {"all": True, "cursor": cursor})
    assert (answer["outcome"], answer["problems"][0]["field"]) == ("invalid", "cursor")
    assert world.keys() == before


@pytest.mark.parametrize(("slots", "reason"), [(4, None), (1, "hosts_full")])
def test_what_waited_for_its_time_is_served_before_any_call_has_put_it_into_its_lane(
    world: World, slots: int, reason: str | None
) -> None:
    world.ask(ops.Renew.model_validate({**HOST, "pools": ["codex"], "slots": slots}))
    submit(world, "runs")
    assert [*claim(world, 1)] == ["runs"]
    submit(world, "w", host="h1", not_before=START + 1000)
    submit(world, "x", host="h2", not_before=START + 1000)
    world.set_clock(START + 1000)
    told = wire(world, "explain", {"workspace": "w"})
    refusal = told.get("refusal", {})
    assert (refusal.get("reason"), refusal.get("holders"), told["served_by"]) == (reason, reason and ["runs"], 1)
    assert "among" not in refusal
    assert wire(world, "explain", {"workspace": "x"})["refusal"]["reason"] == "no_host"


def test_a_quiet_host_takes_nothing_that_it_asks_for_itself(world: World) -> None:
    world.ask(ops.Renew.model_validate({**HOST, "pools": ["codex"], "slots": 4}))
    world.ask(ops.Host(host="h1", action="quiet"))
    asked = {"workspace": "w", "agent": "codex", "asker": "h1"}
    refused = wire(world, "submit", {**asked, "else": "refuse"})["refusal"]
    assert (refused["key"], refused["reason"], refused["text"]) == ("h1", "hosts_full", "host h1 is quiet")
    assert (refused["used"], refused["limit"]) == (0, 4)
    world.ask(ops.Host(host="h1", action="thaw"))
    assert wire(world, "submit", asked)["outcome"] == "granted"


def test_what_a_thousand_runs_of_a_lane_have_used_is_no_number_too_large(world: World) -> None:
    """As far from the zero of the sums as a thousand starts are together, by a clock that is far ahead."""
    world.set_clock(9 * 10**13)
    world.ask(ops.Renew.model_validate({**HOST, "pools": ["codex"], "slots": 4}))
    submit(world, "w1", "w2", "w3")
    assert [[*claim(world, seq, count=1)] for seq in (1, 2, 3)] == [["w1"], ["w2"], ["w3"]]
    assert int(world.keys()["fair:codex"]["v10"]) < 10**8
