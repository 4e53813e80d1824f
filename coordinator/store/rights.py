"""What a Redis user may not do, as a sentence that names the role whose file grants it."""

import re
from typing import Final

_ALL: Final = "replica, worker, publisher, viewer"
#: Command -> the roles that may run it, and what to do. The files of the roles are docs/acl/<role>.acl.
_ROLES: Final = {
    "fcall": ("replica, worker", "it changes things: connect as one of these"),
    "fcall_ro": ("replica, worker, viewer", "connect as one of these"),
    "publish": ("replica, worker, publisher", "connect as one of these"),
    "xadd": ("replica, worker, publisher", "connect as one of these"),
    "subscribe": ("replica, worker", "connect as one of these"),
    "info": ("replica, worker", "connect as one of these"),
    "scan": ("replica", "connect as a replica does"),
    "function|load": (
        "replica",
        "start `coordinator serve` as that user: it loads the function library for all",
    ),
}
_COMMAND: Final = re.compile(r"to run the '([^']+)' command")
_IN_A_FUNCTION: Final = ("ACL failure in script", "The user executing the script can't")


def is_denied(text: str) -> bool:
    """Whether an error text of Redis says that the user lacks a right, also inside of a function."""
    return text.startswith(("NOPERM", *_IN_A_FUNCTION)) or any(said in text for said in _IN_A_FUNCTION)


def lacking(text: str) -> str:
    """Which right is missing, which roles have it, and how it is given; `text` is what Redis said."""
    said = re.sub(r"^(ERR|NOPERM) | at user_function.*", "", text)
    found = _COMMAND.search(text)
    name = found[1] if found else ""
    if any(sign in text for sign in _IN_A_FUNCTION):
        who, fix = "replica, worker", "a function may do only what its caller may: give the user all of its role's line"
    elif name in _ROLES:
        who, fix = _ROLES[name]
    elif name:
        who, fix = _ALL, "give the user all of its role's line"
    else:  # Redis names no key and no channel
        who, fix = _ALL, "the keys and channels in its line must be those of this namespace (DISPATCH_NAMESPACE)"
    roles = who.split(", ")
    files = " or ".join(f"docs/acl/{role}.acl" for role in roles) if who != _ALL else "its role's file in docs/acl"
    return f"this Redis user lacks a right ({said}); {files} has it: {fix}; see docs/security.md"
