"""What the library answered, typed: the reply of the verb, or what was wrong with the question or the keys."""

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from coordinator.errors import InvalidQuestion, LibraryError, Problem, StoreUnusable
from coordinator.operations._operation import Damaged, Invalid, Operation, Outdated

Reply = TypeVar("Reply")
_FAULTS: TypeAdapter[Invalid | Outdated | Damaged] = TypeAdapter(Invalid | Outdated | Damaged)


def reply_of(operation: Operation[Reply], answer: bytes) -> Reply:
    """The typed answer. A byte that is no UTF-8, put into a record by hand, is shown as such, and hides no other."""
    try:
        reply: Reply = operation.reply.validate_json(answer)
    except ValidationError:
        text = answer.decode("utf-8", "replace").encode()
        if text == answer:
            raise
        reply = operation.reply.validate_json(text)
    return reply


def fault_of(answer: bytes) -> Invalid | Outdated | Damaged | None:
    try:
        return _FAULTS.validate_json(answer)
    except ValidationError:
        return None


def fault(operation: Operation[Any], answer: bytes, error: ValidationError) -> Exception:
    """What an answer that is none of the verb's own means."""
    match fault_of(answer):
        case Invalid(problems=problems):
            return InvalidQuestion([Problem(one.field, one.problem, one.fix) for one in problems])
        case Damaged(key=key, expected=expected, found=found, fix=fix):
            return StoreUnusable(f"the key {key} is a {found}, not a {expected}: {fix}")
        case _:
            return LibraryError(f"{operation.name}: the library answered what its model does not know: {error}")
