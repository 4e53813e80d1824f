"""Libraries to try mutants with: one that counts which statements ran, and texts whose facts have ids by the clock."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Final

from coordinator import library
from tests.model import build
from tests.mutate import mutants
from tests.mutate.lua import Statement, statements

_ID: Final = "'~', 10000, '*'"
_ID_BY_THE_CLOCK: Final = "'~', 10000, string.format('%.0f-*', call.now)"
_GIVEN: Final = re.compile(r"(?:local )?(?:function )?([\w.]+(?:, \w+)*)(?: =|\()")
#: Of a library that counts: the numbers of the statements that ran since the last question, and the names of the verbs.
HITS: Final = "dispatch_hits"
_REGISTER: Final = "redis.register_function = server().register_function"
_COUNT: Final = """
local register = server().register_function
function redis.register_function(one)
  local verb = one.callback
  function one.callback(keys, args)
    hits[one.function_name] = true
    return verb(keys, args)
  end
  return register(one)
end
"""
#: Of every text that is run here: what the library remembers of a namespace, or with an argument, to remember that.
MEMORY: Final = "dispatch_memory"
_ASK_MEMORY: Final = f"""
redis.register_function {{ function_name = '{MEMORY}', callback = function(keys, args)
  if args[1] then base.epochs[keys[1]] = args[1] ~= '' and args[1] or nil end
  return base.epochs[keys[1]] or ''
end }}
"""
_ASK_HITS: Final = f"""
redis.register_function {{ function_name = '{HITS}', callback = function()
  local out = {{}}
  for mark in pairs(hits) do out[#out + 1] = tostring(mark) end
  hits = {{}}
  return out
end }}
"""


def as_run(text: str, *, tight: bool) -> str:
    """With the model's clock, also in the ids of facts: a tape that is played again meets what it met before."""
    return build.as_run(text, tight=tight, exact=False).replace(_ID, _ID_BY_THE_CLOCK) + _ASK_MEMORY


@cache
def _bit_of() -> dict[str, int]:
    verbs = [f"dispatch_{verb}" for verb in library.VERBS]
    return {mark: 1 << at for at, mark in enumerate([*verbs, *map(str, numbers().values())])}


def bits(marks: Iterable[str]) -> int:
    """Marks as one number; those of no statement and no verb count for nothing."""
    of, found = _bit_of(), 0
    for mark in marks:
        found |= of.get(mark, 0)
    return found


@cache
def numbers() -> dict[tuple[str, Statement], int]:
    """Every statement of the library that runs in a call, numbered."""
    found: dict[tuple[str, Statement], int] = {}
    for file in (*library.WORDS, *library.VERBS):
        for one in statements(mutants.source(file)):
            if not one.loads:
                found[file, one] = len(found) + 1
    return found


@cache
def counting() -> str:
    """The library that remembers which statements ran."""
    built = library.TEXT
    for file in (*library.WORDS, *library.VERBS):
        text = marked = mutants.source(file)
        mine = [(one.at, number) for (name, one), number in numbers().items() if name == file]
        for at, number in sorted(mine, reverse=True):
            marked = f"{marked[:at]}hits[{number}] = true {marked[at:]}"
        built = built.replace(text, marked, 1)
    head, _, rest = built.partition("\n")
    return f"{head}\nlocal hits = {{}}\n{build.changed(rest, _REGISTER, _COUNT)}{_ASK_HITS}"


def marks_of(mutant: mutants.Mutant) -> set[str]:
    """What must run for a mutant to be felt, one of it: its statement; of what acts on loading, what names it."""
    return _marks(mutant.file, mutant.statement, 3)


def _marks(file: str, statement: Statement, deep: int) -> set[str]:
    if number := numbers().get((file, statement)):
        return {str(number)}
    text = mutants.source(file)[statement.at : statement.stop]
    if text.startswith("verb.register"):
        return {f"dispatch_{file}"}
    named = _GIVEN.match(text)
    found: set[str] = set()
    for name in re.findall(r"[\w.]+", named[1]) if named and deep else ():
        found |= _marks_of_name(name, file, statement, deep)
    return found or {str(number) for (other, _), number in numbers().items() if other == file}


def _marks_of_name(name: str, file: str, statement: Statement, deep: int) -> set[str]:
    """The innermost statements that speak of a name: of its own file, or of all, when it is a field of a table."""
    found: set[str] = set()
    for other in (*library.WORDS, *library.VERBS) if "." in name else (file,):
        text = mutants.source(other)
        for place in re.finditer(rf"(?<![\w.]){re.escape(name)}(?!\w)", text):
            around = [one for one in _statements(other) if one.at <= place.start() < one.stop]
            if around and around[-1] != statement:
                found |= _marks(other, around[-1], deep - 1)
    return found


@cache
def _statements(file: str) -> list[Statement]:
    return statements(mutants.source(file))
