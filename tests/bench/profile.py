"""Which words of the library take how long: every function of its tables is wrapped with the processor's clock.

What the clock itself costs is measured and taken out again, roughly. Functions that are local to a file count in what
calls them, and what a verb's own file does is in none.
"""

from typing import Any, Final

from coordinator import library
from tests.model.world import ROOT, World

_WRAP: Final = """
do
  local spent, inner, made, below = {}, 0, 0, 0
  local function wrap(name, f)
    local clock, mine = os.clock, { 0, 0, 0, 0, 0 }
    spent[name] = mine
    local function done(began, outer, outer_made, outer_below, ...)
      local took = clock() - began
      mine[1], mine[2], mine[3] = mine[1] + 1, mine[2] + took, mine[3] + took - inner
      mine[4], mine[5] = mine[4] + made, mine[5] + below
      inner, made, below = outer + took, outer_made + 1, outer_below + below + 1
      return ...
    end
    return function(...)
      local outer, outer_made, outer_below = inner, made, below
      inner, made, below = 0, 0, 0
      return done(clock(), outer, outer_made, outer_below, f(...))
    end
  end
  local function wrap_all() -- not while the library is loaded: then there is neither a clock nor `pairs`
    for table_name, words in pairs { %s } do
      for name, f in pairs(words) do
        if type(f) == 'function' then words[name] = wrap(table_name .. '.' .. name, f) end
      end
    end
  end
  -- What one wrapped call costs: in all, and of that what it takes for its own.
  local function overhead()
    local f, clock, times = wrap('nothing', function() end), os.clock, 20000
    local began = clock()
    for _ = 1, times do f('a', 'b') end
    local all, own = (clock() - began) / times, spent.nothing[3] / times
    spent.nothing = nil
    return all, own
  end
  server().register_function('profile_read', function()
    local out, all, own = {}, overhead()
    for name, row in pairs(spent) do
      if row[1] > 0 then
        out[#out + 1] = name
        out[#out + 1] = tostring(row[1])
        out[#out + 1] = string.format('%%.9f', row[2] - row[1] * own - row[5] * all)
        out[#out + 1] = string.format('%%.9f', row[3] - row[1] * own - row[4] * (all - own))
      end
    end
    return out
  end)
  server().register_function('profile_forget', function()
    if next(spent) == nil then wrap_all() end
    for _, row in pairs(spent) do
      for i = 1, #row do row[i] = 0 end
    end
  end)
end
"""


def built(text: str) -> str:
    """The library with the clock around its words."""
    tables = ("redis", *(name for name in library.WORDS.values() if name != "verb"))
    wrap = _WRAP % ", ".join(f"{name} = {name}" for name in tables)
    mark = "do\n-- apply:"  # the first verb's file: all words are there
    assert text.count(mark) == 1, "the first verb's file begins otherwise"
    return text.replace(mark, wrap + mark)


def forget(world: World) -> None:
    world.redis.execute_command("FCALL", "profile_forget", 1, ROOT)  # type: ignore[no-untyped-call]


def table(world: World, count: int) -> str:
    """Of one call: how often each word was used, its µs with and without the words it uses."""
    flat: Any = world.redis.execute_command("FCALL", "profile_read", 1, ROOT)  # type: ignore[no-untyped-call]
    rows = [(flat[at], *(float(text) / count for text in flat[at + 1 : at + 4])) for at in range(0, len(flat), 4)]
    rows.sort(key=lambda row: -row[3])
    lines = [f"    {'word':<22} {'calls':>6} {'us':>8} {'its own':>8}"]
    lines += [f"    {name:<22} {calls:>6.2f} {all_ * 1e6:>8.2f} {own * 1e6:>8.2f}" for name, calls, all_, own in rows]
    lines.append(f"    {'together':<22} {'':>6} {'':>8} {sum(row[3] for row in rows) * 1e6:>8.2f}")
    return "\n".join(lines)
