"""Trying the library's own words alone: one more verb whose answer is what a piece of Lua comes to."""

import json
from typing import Any

from redis import Redis

from coordinator import library

_VERB = """
verb.register { name = 'try', writes = true, question = { field = %s },
  answer = function() return { outcome = 'tried', value = %s } end }
"""


class Trial:
    """A library of the server that also has the verb; each piece of Lua loads it anew."""

    def __init__(self, client: Redis) -> None:
        self._redis = client

    def answer(self, lua: str) -> dict[str, Any]:
        """The whole answer to an expression."""
        self._load("'text'", lua)
        return self._ask({})

    def of(self, lua: str) -> Any:
        """What comes of an expression; None for nil."""
        return self.answer(lua).get("value")

    def after(self, lua: str, value: str) -> Any:
        """What an expression comes to when a piece of Lua has run."""
        return self.of(f"(function() {lua} return {value} end)()")

    def takes(self, kind: str, *values: Any) -> list[bool]:
        """Which values a field of this kind may have."""
        self._load(f"'{kind}'", "true")
        return [self._ask({"field": value})["outcome"] == "tried" for value in values]

    def problems(self, kind: str, value: str | bytes, question: bytes = b'{"field":%s}') -> list[dict[str, str]]:
        """What is wrong with a JSON text as the value of a field of this kind (a Lua rule)."""
        self._load(kind, "true")
        text = question.replace(b"%s", value.encode() if isinstance(value, str) else value)
        answer: dict[str, Any] = json.loads(self._redis.fcall("dispatch_try", 1, "{t}", text))
        return answer.get("problems") or []

    def _load(self, kind: str, lua: str) -> None:
        self._redis.function_load(library.TEXT + _VERB % (kind, lua), replace=True)

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._redis.fcall("dispatch_try", 1, "{t}", json.dumps(question)))
        return answer
