"""Steps are felt by what they run and by nothing else, and the model goes on from any of them."""

from collections.abc import Iterator

import pytest

from coordinator import library
from tests.model.world import ROOT, World
from tests.mutate import mutants, tapes, texts
from tests.mutate.overheard import Again, Asked
from tests.mutate.same import is_same
from tests.mutate.steps import Step
from tests.mutate.tapes import Tape
from tests.mutate.wire import Wire
from tests.servers import REDIS, Servers


@pytest.fixture(scope="module")
def tape(servers: Servers) -> Tape:
    """The longest of some."""
    return max(tapes.record(REDIS, servers, examples=3, steps=50, start=1), key=lambda one: len(one.steps))


@pytest.fixture
def wire(servers: Servers) -> Iterator[Wire]:
    wire = Wire(servers.fresh_url(REDIS).removeprefix("unix://"))
    yield wire
    wire.close()


def _others(wire: Wire, steps: list[Step], text: str) -> set[int]:
    assert wire.load(texts.as_run(text, tight=steps[0].tight))
    return {felt.place for felt in wire.others(steps)}


def test_a_change_is_felt_by_steps_that_run_it_and_by_no_others(wire: Wire, tape: Tape) -> None:
    """A step that the library as it is answers otherwise at another time says nothing."""
    assert wire.load(texts.as_run(library.TEXT, tight=tape.tight))
    steps = [step._replace(told=told) for step, told in zip(tape.steps, wire.told(tape.steps), strict=True)]
    vague = _others(wire, steps, library.TEXT) | _others(wire, steps, library.TEXT)
    assert len(vague) < len(steps) / 10
    one = next(one for one in mutants.of("claim") if one.kind == "statement" and one.statement.kind == "return")
    ran = texts.bits(texts.marks_of(one))
    running = {place for place, step in enumerate(steps) if step.ran & ran}
    felt = _others(wire, steps, one.library()) - vague
    assert felt
    assert felt <= running < {*range(len(steps))}


@pytest.mark.parametrize("changed", [False, True])
def test_the_model_goes_on_in_the_middle(servers: Servers, wire: Wire, tape: Tape, changed: bool) -> None:
    step = tape.steps[len(tape.steps) // 2]
    text = library.TEXT.replace("return base.encode(answer)", "return '[]'") if changed else library.TEXT
    world = World(REDIS, servers, texts.as_run(text, tight=tape.tight), tight=tape.tight)
    before = tape.before(step.call)
    for channel in before.listening:
        world.listen(channel.rpartition(":")[2])
    wire.set(before, ROOT)
    world._seen = before.last.get(f"{ROOT}:events", "")
    if changed:
        with pytest.raises(Exception, match="validation error"):
            tapes.play_on(tape, step.call, world)
    else:
        tapes.play_on(tape, step.call, world)


def test_what_a_test_asks_is_asked_again_at_its_time(servers: Servers) -> None:
    asked = [Asked(at, (b"FCALL", b"dispatch_thaw", b"1", b"{t}", b"{}")) for at in (1000, 2000)]
    asked.insert(1, Asked(1500, (b"SET", b"{t}:limits", b"by hand")))
    one, other = Again(servers.fresh_url(REDIS)).steps("a test", asked)
    assert (other.before.last, other.before.keys["{t}:limits"][1]) == ({"{t}:events": "1000-0"}, 0)
    assert b'"thawed"' in one.answer
    assert b'"damaged"' in other.answer


def test_what_is_told_to_those_who_listen_is_felt(servers: Servers, wire: Wire) -> None:
    asked = [
        Asked(1, (b"SUBSCRIBE", b"{t}:bus")),
        *(Asked(1, (b"FCALL", b"dispatch_thaw", b"1", b"{t}", text)) for text in (b"{}", b'{"key":"*"}')),
    ]
    steps = Again(servers.fresh_url(REDIS)).steps("a test", asked)
    assert wire.load(texts.as_run(library.TEXT, tight=False))
    steps = [step._replace(told=told) for step, told in zip(steps, wire.told(steps), strict=True)]
    assert b'"type":"Thawed"' in b"".join(steps[0].told)
    assert _others(wire, steps, library.TEXT) == set()
    assert _others(wire, steps, library.TEXT.replace("body:sub(2)", "body:sub(3)")) == {0}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b'{"a":1,"b":[]}', b'{"b":{},"a":1}', True),  # an empty table is either
        (b'["a","b"]', b'["b","a"]', False),
        (b'["b","a"]', b'["a","b"]', True),  # it never had an order
        (b'{"hosts":[{"host":"a"},{"host":"b"}]}', b'{"hosts":[{"host":"b"},{"host":"a"}]}', False),
        (b'{"hosts":[{"host":"b"},{"host":"a"}]}', b'{"hosts":[{"host":"a"},{"host":"b"}]}', True),
        (b'{"unseen":[{"token":1},{"token":2}]}', b'{"unseen":[{"token":2},{"token":1}]}', True),  # a set has no order
        (b'[{"keys":["a","b"]}]', b'[{"keys":["b","a"]}]', False),
        (b"[1,2]", b"[1,3]", False),
        (b"{}", b"no JSON", False),
        (1, 2, False),
        (None, None, True),
    ],
)
def test_an_order_is_felt_where_there_was_one(one: object, other: object, same: bool) -> None:
    assert is_same(one, other) is same
