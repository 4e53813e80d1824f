"""JSON-RPC 2.0: what a line says, as a value, and the shape of every answer."""

from typing import Any, Final, NamedTuple

from pydantic_core import from_json

PARSE, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603
Id = str | int
_INTEGER_END: Final = 1 << 63
_LONGEST_ID: Final = 1024


class Request(NamedTuple):
    """Somebody waits for an answer under this id."""

    id: Id
    method: str
    params: dict[str, Any]


class Notice(NamedTuple):
    """Said without waiting for an answer."""

    method: str


class Fault(NamedTuple):
    """Why there is no result."""

    code: int
    message: str
    id: Id | None = None


def read(line: bytes | None) -> Request | Notice | Fault | None:
    """What a line asks; None where it asks nothing. Never raises: anybody may write anything."""
    if line is None:
        return Fault(PARSE, "the message is longer than 4 MiB: send a shorter one")
    if not line.strip():
        return None
    try:
        message = from_json(line, allow_inf_nan=False)
    except ValueError as error:
        return Fault(PARSE, f"not JSON: {error}")
    if isinstance(message, list):
        return Fault(INVALID_REQUEST, "batches are not taken: send each message as a line of its own")
    if not isinstance(message, dict):
        return Fault(INVALID_REQUEST, "a message is a JSON object")
    return _asked(message)


def _asked(message: dict[str, Any]) -> Request | Notice | Fault | None:
    asker = message.get("id")
    known = asker if _is_id(asker) else None
    if message.get("jsonrpc") != "2.0":
        return Fault(INVALID_REQUEST, 'jsonrpc must be "2.0"', known)
    method, params = message.get("method"), message.get("params")
    if method is None and ("result" in message or "error" in message):
        return None  # an answer, and nothing was asked
    if not isinstance(method, str):
        return Fault(INVALID_REQUEST, "method must be text", known)
    if "id" not in message:
        return Notice(method)
    if known is None:
        return Fault(INVALID_REQUEST, "id must be a text or a whole number")
    if params is not None and not isinstance(params, dict):
        return Fault(INVALID_PARAMS, "params must be an object", known)
    return Request(known, method, params or {})


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_ID
    # A longer number can not be written back.
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _INTEGER_END


def result(asker: Id, found: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request."""
    return {"jsonrpc": "2.0", "id": asker, "result": found}


def error(fault: Fault) -> dict[str, Any]:
    """The answer to what went wrong; under no id where none could be read."""
    return {"jsonrpc": "2.0", "id": fault.id, "error": {"code": fault.code, "message": fault.message}}


def notification(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Something said unasked."""
    return {"jsonrpc": "2.0", "method": method, "params": params}
