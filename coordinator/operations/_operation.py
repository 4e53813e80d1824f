"""Operation: one atomic change as a value. Its fields are the question, its type parameter is every answer."""

import re
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import TypeAdapter

from coordinator.models import LuaList, Question, Record

Reply = TypeVar("Reply")


class Invalid(Record):
    """The question had wrong fields."""

    class Problem(Record):
        """One wrong field and its mend."""

        field: str
        problem: str
        fix: str = ""

    outcome: Literal["invalid"] = "invalid"
    problems: LuaList[Problem] = ()


class Outdated(Record):
    """The server holds an older library than this question needs; nothing was done."""

    outcome: Literal["outdated"] = "outdated"
    lib: int


class Damaged(Record):
    """A key has the wrong type, changed by hand; nothing was done."""

    outcome: Literal["damaged"] = "damaged"
    key: str
    expected: str
    found: str
    fix: str


class Operation(Question, Generic[Reply]):
    """A verb: run it with `store.run(verb)`. `name` is the function `dispatch_<name>`; `reads` verbs change nothing."""

    name: ClassVar[str]
    reads: ClassVar[bool] = False
    reply: ClassVar[TypeAdapter[Any]]

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        for parent in cls.__bases__:
            generic = getattr(parent, "__pydantic_generic_metadata__", {})
            if generic.get("origin") is Operation and generic["args"]:  # a verb, not Operation[...] itself
                cls.reply = TypeAdapter(generic["args"][0])
                if "name" not in cls.__dict__:
                    cls.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def encoded(self) -> str:
        """The question as the library reads it: absent fields are absent."""
        return self.model_dump_json(exclude_none=True, by_alias=True)
