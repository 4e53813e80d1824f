"""Several servers asked the same: their answers and their keys must be equal after every call."""

import json
from typing import Any

from coordinator.models import Record
from coordinator.operations._operation import Operation
from tests.model.world import Keys, Reply, World


class Mirror(World):
    """A world made of several."""

    def __init__(self, worlds: list[World]) -> None:
        self.worlds = worlds
        self.listening, self.tight = worlds[0].listening, worlds[0].tight

    def close(self) -> None:
        for world in self.worlds:
            world.close()

    def load(self) -> None:
        for world in self.worlds:
            world.load()

    def clear(self) -> None:
        for world in self.worlds:
            world.clear()

    def kept(self) -> Any:
        return [world.kept() for world in self.worlds]

    def put_back(self, kept: Any) -> None:
        for world, keys in zip(self.worlds, kept, strict=True):
            world.put_back(keys)

    def set_clock(self, now: int) -> None:
        for world in self.worlds:
            world.set_clock(now)

    def listen(self, host: str) -> None:
        for world in self.worlds:
            world.listen(host)

    def deafen(self, host: str) -> None:
        for world in self.worlds:
            world.deafen(host)

    def last_fact(self) -> str:
        return "99999999999999-0"  # ids of facts carry each server's own time

    def facts(self) -> list[dict[str, Any]]:
        told = [world.facts() for world in self.worlds]
        plain = [sorted(map(_told, facts)) for facts in told]  # which of several comes first is the order of a set
        assert all(one == plain[0] for one in plain), f"the servers tell otherwise: {told}"
        return told[0]

    def ask(self, operation: Operation[Reply]) -> Reply:
        answers = [world.ask(operation) for world in self.worlds]
        texts = {world.kind: _told(answer) for world, answer in zip(self.worlds, answers, strict=True)}
        assert len({*texts.values()}) == 1, f"{operation!r}: {texts}"
        return answers[0]

    def keys(self) -> Keys:
        all_keys = [world.keys() for world in self.worlds]
        plain = [{name: _plain(value) for name, value in keys.items()} for keys in all_keys]
        for world, keys in zip(self.worlds[1:], plain[1:], strict=True):
            differing = [name for name in {*keys, *plain[0]} if keys.get(name) != plain[0].get(name)]
            assert not differing, f"{world.kind} and {self.worlds[0].kind} differ in {sorted(differing)}"
        return all_keys[0]


def _told(value: Any) -> str:
    """An answer without the order of its lists and maps, which may be that of a set."""
    if isinstance(value, Record):
        return _told(value.model_dump(exclude={"seq"}))  # the id of a fact is each server's own
    if isinstance(value, dict):
        return str(sorted((name, _told(one)) for name, one in value.items()))
    return str(sorted(map(_told, value))) if isinstance(value, tuple | list) else repr(value)


def _plain(value: Any) -> Any:
    """A key without what may differ: ids of facts, the order of JSON fields, how an empty list is written."""
    if not isinstance(value, dict):
        return value
    return {field: _parsed(text) for field, text in value.items() if field != "granted"}


def _parsed(text: Any) -> Any:
    if not isinstance(text, str) or not text.startswith(("{", "[")):
        return text
    return json.loads(text) or []
