"""dispatch --file: one workspace a line of JSON. A bad line is named and passed over; the good ones are dispatched."""

import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import typer

from coordinator.doors.commands.wait import wait_for
from coordinator.doors.failing import BAD_INPUT, REFUSED, bad_input
from coordinator.doors.live import LiveLine
from coordinator.doors.moments import moment
from coordinator.doors.names import made_name
from coordinator.doors.pools import unserved
from coordinator.doors.printing import complain, emit, note, say
from coordinator.doors.session import Session, opened, question
from coordinator.doors.texts import because, here
from coordinator.errors import InvalidQuestion, Problem, StoreUnavailable, StoreUnusable
from coordinator.operations import GetStatus, Submit
from coordinator.operations.submit import AlreadyKnown, Queued, Refused, SubmitReply
from coordinator.words import shown

_LONGEST: Final = 8 * 1024 * 1024  # bytes of a line; a task of 1 MiB may be escaped sixfold
_TOGETHER: Final = 200  # questions in one round trip
_BYTES_TOGETHER: Final = 4 * 1024 * 1024


class _Line(NamedTuple):
    number: int
    asked: Submit


class _Tally:
    """What became of the lines so far."""

    def __init__(self) -> None:
        self.done: list[Submit] = []
        self.outcomes: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.bad = 0
        self.last = 0

    def complain(self, number: int, error: InvalidQuestion) -> None:
        """Name a bad line."""
        self.bad += 1
        for problem in error.problems:
            complain(f"line {number}: {problem}")

    def count(self, line: _Line, reply: SubmitReply) -> None:
        """Remember an answer."""
        if not isinstance(reply, Refused):
            self.done.append(line.asked)
        self.outcomes[reply.outcome] += 1
        if isinstance(reply, Queued | Refused):
            self.reasons[because(reply.refusal) if reply.refusal else ""] += 1
        elif isinstance(reply, AlreadyKnown):
            self.reasons[f"{reply.status} already"] += 1


async def dispatch(file: str, defaults: dict[str, Any], *, wait: bool, as_json: bool, root: str | None) -> None:
    """Dispatch every good line of `file` (`-`: stdin). Exit code 2 when there was a bad one, 1 when one was refused."""
    tally, code = _Tally(), 0
    with _source(file) as source:
        async with opened(root) as session:
            now = (await session.ask(GetStatus())).now  # alone: it tells an unreachable server before a line is read
            try:
                await _all(session, source, _timed(defaults, now), tally, now, as_json=as_json)
            except (StoreUnavailable, StoreUnusable):
                complain(f"stopped after line {tally.last}; the same again is safe, where a line with again has an id")
                raise
            for sentence in await unserved(session, (asked.agent or "" for asked in tally.done)) if tally.done else ():
                note(sentence)
            if not as_json:
                _summary(tally)
            if wait:
                code = await wait_for(session, [asked.workspace for asked in tally.done], as_json=as_json)
    code = max(code, BAD_INPUT if tally.bad else REFUSED if tally.outcomes["refused"] else 0)
    if code:
        raise typer.Exit(code)


@contextlib.contextmanager
def _source(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with contextlib.ExitStack() as opened_file:
        try:
            source = opened_file.enter_context(Path(file).open("rb"))
        except (OSError, ValueError) as error:
            raise bad_input(f"{shown(file)}: can not be read: {getattr(error, 'strerror', None) or error}") from None
        yield source


async def _all(
    session: Session, source: BinaryIO, defaults: dict[str, Any], tally: _Tally, now: int, *, as_json: bool
) -> None:
    with LiveLine() as line:
        part: list[_Line] = []
        size = 0
        for number, text in enumerate(_lines(source), start=1):
            if not text.strip():
                continue
            try:
                part.append(_Line(number, _asked(text, defaults, now)))
            except InvalidQuestion as error:
                line.clear()
                tally.complain(number, error)
            size += len(text)
            if len(part) == _TOGETHER or size > _BYTES_TOGETHER:
                line.clear()
                await _send(session, part, tally, as_json=as_json)
                part, size = [], 0
                line.show(f"{len(tally.done)} dispatched")
        await _send(session, part, tally, as_json=as_json)


async def _send(session: Session, part: list[_Line], tally: _Tally, *, as_json: bool) -> None:
    replies = await asyncio.gather(*(session.ask(line.asked) for line in part), return_exceptions=True)
    for line, reply in zip(part, replies, strict=True):
        if isinstance(reply, InvalidQuestion):
            tally.complain(line.number, reply)
        elif isinstance(reply, BaseException):
            raise reply
        else:
            tally.last = line.number
            tally.count(line, reply)
            if as_json:
                emit(reply, workspace=line.asked.workspace)


def _lines(source: BinaryIO) -> Iterator[bytes]:
    """Lines; of one that is too long only so much that it is known to be."""
    while line := source.readline(_LONGEST + 1):
        yield line
        while len(line) > _LONGEST and not line.endswith(b"\n"):
            line = source.readline(_LONGEST + 1)


def _asked(text: bytes, defaults: dict[str, Any], now: int) -> Submit:
    given = _timed(_object(text), now)
    repo = given.get("repo")
    if isinstance(repo, str) and "/" in repo and "org" not in given:  # as the option --repo takes it
        org, _, name = repo.rpartition("/")
        given |= {"org": org, "repo": name}
    if isinstance(given.get("source"), str):
        given["source"] = here(given["source"])
    fields = {name: value for name, value in defaults.items() if value is not None} | given
    return question(Submit, **({"workspace": made_name(fields)} | fields))


def _timed(fields: dict[str, Any], now: int) -> dict[str, Any]:
    """Moments that are written as the options take them, as the numbers that they are; `now` is that of the server."""
    texts = {name: fields[name] for name in ("not_before", "deadline") if isinstance(fields.get(name), str)}
    return fields | {name: moment(name, text, now) for name, text in texts.items()}


def _object(text: bytes) -> dict[str, Any]:
    if len(text) > _LONGEST:
        raise _wrong(f"is longer than {_LONGEST // 1024 // 1024} MiB", "put the task in a file and name it")
    try:
        found = json.loads(text.decode())
    except UnicodeDecodeError as error:
        raise _wrong(f"byte {error.start + 1} is not UTF-8", "save the file as UTF-8") from None
    except (ValueError, RecursionError) as error:
        said = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise _wrong(f"is not JSON: {said}", 'write {"workspace": "core/go-io/task-5", "task": "..."}') from None
    if not isinstance(found, dict):
        raise _wrong(f"must be a JSON object, got {shown(found)}", 'write {"workspace": "core/go-io/task-5"}')
    return found


def _wrong(problem: str, fix: str) -> InvalidQuestion:
    return InvalidQuestion([Problem("it", problem, fix)])


def _summary(tally: _Tally) -> None:
    came = tally.outcomes
    parts = [f"{came['queued']} queued", f"{came['granted']} granted", f"{came['refused']} refused"]
    parts += [f"{came['already']} known already", f"{tally.bad} bad lines"]
    say(", ".join(part for part in parts if not part.startswith("0 ") or part == parts[0]))
    for reason, count in tally.reasons.most_common(10):
        say(f"  {count} {reason or 'for which a host is being woken'}")
