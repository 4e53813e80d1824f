"""Lua 5.1 as far as mutants need it: tokens with their places, and the span of every statement."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

_WORDS: Final = (
    "and break do else elseif end false for function if in local nil not or repeat return then true until while"
)
KEYWORDS: Final = frozenset(_WORDS.split())
_TOKEN: Final = re.compile(
    r"""(?P<skip>\s+|--\[\[.*?\]\]|--[^\n]*)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<number>0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?)
    |(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\[\[.*?\]\])
    |(?P<sign>\.\.\.|\.\.|==|~=|<=|>=|[-+*/%^\#<>=(){}\[\];:,.])""",
    re.VERBOSE | re.DOTALL,
)
_UNARY: Final = frozenset(("-", "not", "#"))
_BINARY: Final = frozenset(("+", "-", "*", "/", "%", "^", "..", "<", "<=", ">", ">=", "==", "~=", "and", "or"))
_BLOCK_ENDS: Final = frozenset(("end", "else", "elseif", "until", ""))


class Token(NamedTuple):
    kind: str  # name, keyword, number, string, sign; at the end of the text: end
    text: str
    at: int

    @property
    def stop(self) -> int:
        return self.at + len(self.text)


class Statement(NamedTuple):
    """A statement's span in the text, and whether it runs when the file is loaded: in no function."""

    at: int
    stop: int
    loads: bool
    kind: str  # its first word


def tokens(text: str) -> list[Token]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match, f"no Lua: {text[at : at + 40]!r}"
        kind = match.lastgroup or ""
        if kind == "name" and match[0] in KEYWORDS:
            kind = "keyword"
        if kind != "skip":
            found.append(Token(kind, match[0], at))
        at = match.end()
    return [*found, Token("end", "", at)]


@dataclass
class Parser:
    """Walks over a chunk; its only product is the list of statements, inner ones after those around them."""

    all: list[Token]
    i: int = 0
    depth: int = 0  # of functions
    found: list[Statement] = field(default_factory=list)

    @property
    def word(self) -> str:
        token = self.all[self.i]
        return "" if token.kind in ("string", "number") else token.text

    def take(self, *words: str) -> bool:
        if self.word in words and self.all[self.i].kind != "end":
            self.i += 1
            return True
        return False

    def need(self, word: str) -> None:
        assert self.take(word), f"{word} expected, there is {self.all[self.i]}"

    def name(self) -> None:
        assert self.all[self.i].kind == "name", f"a name expected, there is {self.all[self.i]}"
        self.i += 1

    def block(self) -> None:
        while self.word not in _BLOCK_ENDS or self.all[self.i].kind in ("string", "number"):
            place, first = len(self.found), self.all[self.i]
            self.statement()
            self.take(";")
            self.found.insert(place, Statement(first.at, self.all[self.i - 1].stop, not self.depth, first.text))

    def body_until(self, *ends: str) -> None:
        self.block()
        assert self.take(*ends), f"{ends} expected, there is {self.all[self.i]}"

    def statement(self) -> None:
        begins = getattr(self, f"a_{self.word}", None) if self.all[self.i].kind == "keyword" else None
        if begins:
            self.i += 1
            begins()
        else:
            self.list_of(self.suffixed)
            if self.take("="):
                self.list_of(self.expression)

    def a_if(self) -> None:
        self.expression()
        self.need("then")
        self.block()
        while self.take("elseif"):
            self.expression()
            self.need("then")
            self.block()
        if self.take("else"):
            self.block()
        self.need("end")

    def a_while(self) -> None:
        self.expression()
        self.need("do")
        self.body_until("end")

    def a_do(self) -> None:
        self.body_until("end")

    def a_for(self) -> None:
        self.list_of(self.name)
        assert self.take("=", "in"), self.all[self.i]
        self.list_of(self.expression)
        self.need("do")
        self.body_until("end")

    def a_repeat(self) -> None:
        self.body_until("until")
        self.expression()

    def a_function(self) -> None:
        self.name()
        while self.take(".", ":"):
            self.name()
        self.function()

    def a_local(self) -> None:
        if self.take("function"):
            self.name()
            self.function()
        else:
            self.list_of(self.name)
            if self.take("="):
                self.list_of(self.expression)

    def a_return(self) -> None:
        if self.word not in (*_BLOCK_ENDS, ";") or self.all[self.i].kind in ("string", "number"):
            self.list_of(self.expression)

    def a_break(self) -> None:
        pass

    def function(self) -> None:
        self.need("(")
        if not self.take(")"):
            self.list_of(self.parameter)
            self.need(")")
        self.depth += 1
        self.body_until("end")
        self.depth -= 1

    def parameter(self) -> None:
        if not self.take("..."):
            self.name()

    def list_of(self, part: Callable[[], None]) -> None:
        part()
        while self.take(","):
            part()

    def expression(self) -> None:
        while self.take(*_UNARY):
            pass
        if self.all[self.i].kind in ("string", "number"):
            self.i += 1
        elif self.take("function"):
            self.function()
        elif self.word == "{":
            self.table()
        elif not self.take("nil", "true", "false", "..."):
            self.suffixed()
        if self.take(*_BINARY):
            self.expression()

    def suffixed(self) -> None:
        if self.take("("):
            self.expression()
            self.need(")")
        else:
            self.name()
        while True:
            if self.take("."):
                self.name()
            elif self.take("["):
                self.expression()
                self.need("]")
            elif self.take(":"):
                self.name()
            elif self.all[self.i].kind == "string":
                self.i += 1
            elif self.word == "{":
                self.table()
            elif self.take("("):
                if not self.take(")"):
                    self.list_of(self.expression)
                    self.need(")")
            else:
                return

    def table(self) -> None:
        self.need("{")
        while not self.take("}"):
            if self.take("["):
                self.expression()
                self.need("]")
                self.need("=")
            elif self.all[self.i].kind == "name" and self.all[self.i + 1].text == "=":
                self.i += 2
            self.expression()
            self.take(",", ";")


def statements(text: str) -> list[Statement]:
    """Every statement of a chunk."""
    parser = Parser(tokens(text))
    parser.block()
    assert parser.all[parser.i].kind == "end", f"no statement: {parser.all[parser.i]}"
    return parser.found
