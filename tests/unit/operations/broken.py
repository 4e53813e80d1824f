"""A small fleet that somebody writes to past the verbs, and what is said of it."""

from typing import Any, Final

from coordinator import operations as ops
from tests.model.world import ROOT, World
from tests.unit.operations.stopping import ask

FAR: Final = 9_000_000_000_000  # epoch ms
TTL: Final = 300_000
BEAT: Final = 10_000


def by_hand(world: World, *commands: str) -> None:
    """Somebody writes to the server past the verbs; `~` stands for a blank in a name."""
    for command in commands:
        word, name, *rest = (one.replace("~", " ") for one in command.split(" "))
        world.redis.execute_command(word, f"{ROOT}:{name}", *rest)  # type: ignore[no-untyped-call]


def found(world: World, *keys: str, **more: Any) -> list[dict[str, Any]]:
    """All that is said of these keys, as it comes over the wire."""
    return list(ask(world, ops.Faults(keys=list(keys), **more))["found"])


def claim(world: World, seq: int, host: str = "h1", **more: Any) -> list[str]:
    answer = world.ask(ops.Claim(host=host, incarnation="i", seq=seq, **more))
    return [grant.workspace for grant in answer.grants]


def token(world: World, name: str) -> int:
    return int(world.keys()[f"workspace:{name}"]["token"])


def busy(world: World) -> World:
    """`run` runs on the one slot of codex, which `waits` waits for; `free` waits for a host; h2 serves nothing."""
    world.ask(ops.Apply(limits={"codex": 1}))
    world.ask(ops.Renew(host="h2", incarnation="i", pools=["shell"], slots=1))
    world.ask(ops.Submit(workspace="run", agent="codex"))
    assert claim(world, 1, count=1) == ["run"]
    world.ask(ops.Submit(workspace="waits", agent="codex"))
    world.ask(ops.Submit(workspace="free", agent="gemini"))
    return world
