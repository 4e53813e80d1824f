"""Every one-token change of a Lua file: comparisons, signs, constants, and each statement taken out."""

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from coordinator import library
from tests.mutate.lua import Statement, Token, statements, tokens

#: A sign and what it becomes: its edge, and its opposite.
_SIGNS: Final = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("~=",),
    "~=": ("==",),
    "+": ("-",),
    "*": ("/",),
    "/": ("*",),
    "%": ("*",),
    "and": ("or",),
    "or": ("and",),
    "not": ("",),
}
_KINDS: Final = {"and": "logic", "or": "logic", "not": "logic", "+": "sign", "*": "sign", "/": "sign", "%": "sign"}
_FLAGS: Final = {"true": "false", "false": "true", "nil": "true"}
_WORD: Final = re.compile(r"[a-z_A-Z][\w:-]*\*?")  # a field, a key, a value of a field; no command, no text for people
_BEFORE_A_VALUE: Final = {
    *"({[,;=<>+-*/%",
    *("==", "~=", "<=", ">=", "..", "and", "or", "not", "return", "then", "else", "do"),
}


class Mutant(NamedTuple):
    """One change of one file; `statement` is the innermost one around it."""

    file: str
    at: int
    old: str
    new: str
    kind: str
    line: int
    statement: Statement

    @property
    def id(self) -> str:
        """The same as long as its file is."""
        return f"{self.file}@{_sum(self.file)}:{self.line}:{self.at}:{self.kind}:{self.new}"

    @property
    def around(self) -> str:
        """The text of its statement."""
        return source(self.file)[self.statement.at : self.statement.stop]

    def library(self) -> str:
        """The whole library with this change."""
        text = source(self.file)
        return library.TEXT.replace(text, text[: self.at] + self.new + text[self.at + len(self.old) :], 1)


@cache
def _sum(file: str) -> str:
    return hashlib.sha256(source(file).encode()).hexdigest()[:8]


@cache
def source(file: str) -> str:
    """A file as it stands in the library."""
    lines = (library.FOLDER / f"{file}.lua").read_text(encoding="utf-8").splitlines()
    text = "\n".join(lines) + "\n"
    assert library.TEXT.count(text) == 1, file
    return text


def of(file: str) -> list[Mutant]:
    """Every mutant of a file, in the order of its lines."""
    text = source(file)
    every = statements(text)
    found = []
    for at, old, new, kind in (*_of_tokens(tokens(text)), *_of_statements(text, every)):
        around = [one for one in every if one.at <= at < one.stop]
        found.append(Mutant(file, at, old, new, kind, text.count("\n", 0, at) + 1, around[-1]))
    return sorted(found, key=lambda one: (one.at, one.kind, one.new))


def _of_statements(text: str, every: list[Statement]) -> Iterator[tuple[int, str, str, str]]:
    for one in every:
        yield one.at, text[one.at : one.stop], " ", "statement"


def _of_tokens(every: list[Token]) -> Iterator[tuple[int, str, str, str]]:
    words = list(dict.fromkeys(_inner(one) for one in every if _is_word(one)))
    for before, token in zip([Token("sign", ";", 0), *every], every, strict=False):
        if token.kind == "number":
            yield from ((token.at, token.text, new, "number") for new in _numbers(token.text))
        elif _is_word(token):
            old = _inner(token)
            new = words[(words.index(old) + 1) % len(words)]
            quote = token.text[0]
            yield token.at, token.text, f"{quote}{new if new != old else old + 'x'}{quote}", "word"
        elif token.kind == "sign" and token.text == "-":
            unary = before.kind in ("sign", "keyword") and before.text in _BEFORE_A_VALUE
            yield token.at, token.text, "" if unary else "+", "sign"
        elif token.kind in ("sign", "keyword"):
            if token.text in _FLAGS:
                yield token.at, token.text, _FLAGS[token.text], "flag"
            for new in _SIGNS.get(token.text, ()):
                yield token.at, token.text, new, _KINDS.get(token.text, "comparison")


def _numbers(text: str) -> list[str]:
    value = float(text) if not text.lower().startswith("0x") else int(text, 16)
    return [f"{value + 1:.0f}", f"{value - 1:.0f}" if value >= 1 else f"({value - 1:.0f})"]


def _inner(token: Token) -> str:
    return token.text[1:-1]


def _is_word(token: Token) -> bool:
    return token.kind == "string" and bool(_WORD.fullmatch(_inner(token))) and not _inner(token).isupper()
