"""Sentences and texts that several commands share."""

import os
import sys
from pathlib import Path
from typing import BinaryIO

from coordinator.doors.times import clock
from coordinator.errors import InvalidQuestion, Problem
from coordinator.models import FreezeView, Refusal
from coordinator.words import TASK_BYTES, shown

_SHORT = 300  # characters of a text that somebody wrote, in a sentence


def short(text: str) -> str:
    """The beginning of a long text; `why` shows the whole question of a workspace."""
    return text if len(text) <= _SHORT else f"{text[:_SHORT].rstrip()} ..."


def because(refusal: Refusal) -> str:
    """A refusal as a sentence: its text, the key where the text does not name it, and the earliest time."""
    text = refusal.text
    if refusal.reason in ("full", "pace", "quota", "ramp") and refusal.key not in text:
        text += f" ({refusal.key})"
    told = refusal.reason == "not_before"  # the text has the time
    return text + (f", until {clock(refusal.until)}" if refusal.until and not told else "")


def one_of(key: str) -> str:
    """A limit key that a command takes: of a group of accounts any one, whose NAME is to be put in."""
    kind, colon, pool = key.partition(":")
    return f"account:{pool}/NAME" if colon and kind == "accounts" else key


def thawing(key: str) -> str:
    """The command that ends a freeze."""
    return "coordinator start" + ("" if key == "*" else f" --key {one_of(key)}")


def frozen(key: str, freeze: FreezeView) -> str:
    """`host:build-1 is frozen by ana: new disk, until 18:30:00`."""
    by = f" by {freeze.by}" if freeze.by else ""
    why = f": {freeze.reason}" if freeze.reason else ""
    return f"{key} is frozen{by}{why}" + (f", until {clock(freeze.until)}" if freeze.until else "")


def text_of(option: str, text: str | None, file: str | None) -> str | None:
    """A text of `option` from the command line, its file or stdin (`-`). Raises InvalidQuestion."""
    if text is not None and file is not None:
        raise InvalidQuestion([Problem(f"{option}-file", f"can not be given with {option}", "keep one of them")])
    source = file if file is not None else "-" if text == "-" else None
    return text if source is None else _read(source)


def _read(name: str) -> str:
    field = "stdin" if name == "-" else shown(name)
    try:
        if name == "-":
            data = _some(sys.stdin.buffer)
        else:
            with Path(name).open("rb") as file:
                data = _some(file)
        # One that is too long may be cut in a letter, and is told as too long: a mark is as long as what it is for.
        return data.decode(errors="replace" if len(data) > TASK_BYTES else "strict")
    except UnicodeDecodeError as error:
        problem = Problem(field, f"byte {error.start + 1} is not UTF-8", "save it as plain UTF-8 text")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        problem = Problem(field, f"can not be read: {said}", "give the path of a text file")
    raise InvalidQuestion([problem])


def _some(source: BinaryIO) -> bytes:
    """All of a source, or one byte more than a task may have: a device has no end."""
    return source.read(TASK_BYTES + 1)


def here(source: str | None) -> str | None:
    """A directory here as an absolute path: the worker's current directory is another one."""
    local = source is not None and "://" not in source and os.path.isdir(source)  # noqa: PTH112  # False also where it can not be seen
    return str(Path(source).resolve()) if source is not None and local else source
