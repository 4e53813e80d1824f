"""Operation: one atomic change as a value. Its fields are the question, its type parameter is every answer."""

import re
from functools import cache
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from coordinator.errors import InvalidQuestion
from coordinator.errors import Problem as WrongField
from coordinator.models import LuaList, Question, Record
from coordinator.problems import problems_of

Reply = TypeVar("Reply")
Verb = TypeVar("Verb", bound="Operation[Any]")


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


@cache
def _adapter(verb: "type[Operation[Any]]") -> TypeAdapter[Any]:
    return TypeAdapter(verb.answers)


class _Reply:
    """What reads a verb's answers, made when the first one comes: a program asks few of the verbs."""

    def __get__(self, _: object, verb: "type[Operation[Any]]") -> TypeAdapter[Any]:
        return _adapter(verb)


class Operation(Question, Generic[Reply]):
    """A verb: run it with `store.run(verb)`. `name` is the function `dispatch_<name>`; `reads` verbs change nothing."""

    name: ClassVar[str]
    reads: ClassVar[bool] = False
    answers: ClassVar[Any]
    reply: ClassVar[_Reply] = _Reply()

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        for parent in cls.__bases__:
            generic = getattr(parent, "__pydantic_generic_metadata__", {})
            if generic.get("origin") is Operation and generic["args"]:  # a verb, not Operation[...] itself
                cls.answers = generic["args"][0]
                if "name" not in cls.__dict__:
                    cls.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def encoded(self) -> str:
        """The question as the library reads it: absent fields are absent."""
        return self.model_dump_json(exclude_none=True, by_alias=True)


def question(verb: type[Verb], **fields: Any) -> Verb:
    """A verb with those of the fields that are given. Raises InvalidQuestion with every problem."""
    try:
        asked = verb.model_validate({name: value for name, value in fields.items() if value is not None})
        asked.encoded()
    except ValidationError as error:
        raise InvalidQuestion(problems_of(error)) from None
    except ValueError:  # half a character, from bytes that are no UTF-8
        named = ", ".join(name for name, value in fields.items() if _is_broken(value)) or verb.name
        raise InvalidQuestion([WrongField(named, "must be UTF-8 text", "save or type it as UTF-8")]) from None
    return asked


def _is_broken(value: object) -> bool:
    return isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value)
