"""What the server's part of a complete-and-claim costs at least: its Redis commands and nothing else.

`python -m tests.bench.floor [ROUNDS]`: the library notes the commands of one such call, and a function that does no
more than make them is timed beside the whole verb. Every second time the workspace that ended and the one that started
change places, so that there is as much to write as in life. A hundred in one round trip, and one at a time.
"""

import statistics
import sys
from collections.abc import Callable
from typing import Final

from coordinator import library
from tests.bench.admission import Fleet, room
from tests.bench.spending import log_every_call, logged
from tests.model.world import World
from tests.servers import REDIS, Servers

_ASKED: Final = "  local answer = ask(...)\n"
_NOTED: Final = "  if noted then noted[#noted + 1] = { ... } end\n" + _ASKED
_BEGUN: Final = "function base.begin(root)\n"
_RUN_AGAIN: Final = """
local turn = 1
server().register_function('dispatch_again', function()
  local call = server().call
  turn = 3 - turn
  for _, one in ipairs(again[turn]) do call(unpack(one)) end
  return #again[turn]
end)
server().register_function('dispatch_note', function(_, names)
  local other, swapped = { [names[1]] = names[2], [names[2]] = names[1] }, {}
  for i, one in ipairs(noted) do
    swapped[i] = {}
    for at, word in ipairs(one) do swapped[i][at] = other[word] or word end
  end
  again, noted = { noted, swapped }, nil
  return 1
end)
"""


def noting(text: str) -> str:
    """The library, which keeps the commands of the call under way until `dispatch_note` was asked."""
    assert text.count(_ASKED) == text.count(_BEGUN) == 1
    start = text.index("\n") + 1
    text = text[:start] + "local noted, again = {}, {}\n" + text[start:]
    return text.replace(_ASKED, _NOTED).replace(_BEGUN, _BEGUN + "  noted = noted and {}\n") + _RUN_AGAIN


def main(rounds: int) -> None:
    servers = Servers()
    try:
        world = World(REDIS, servers, noting(library.TEXT))
        log_every_call(world)
        fleet = Fleet(world)
        room(fleet)

        def again(times: int) -> int:
            pipe = world.redis.pipeline(transaction=False)
            for _ in range(times):
                pipe.execute_command("FCALL", "dispatch_again", 0)  # type: ignore[no-untyped-call]
            return int(pipe.execute()[0])

        print(f"{'median us of ' + str(rounds) + ' calls':<32} {'in a row':>9} {'one at a time':>14}")
        show("the whole verb", world, "complete", fleet.step, rounds)
        world.redis.execute_command("FCALL", "dispatch_note", 0, *fleet.exchange())  # type: ignore[no-untyped-call]
        show(f"its {again(2)} Redis commands alone", world, "again", again, rounds)
        world.close()
    finally:
        servers.stop()


def show(name: str, world: World, verb: str, ask: Callable[[int], int], rounds: int) -> None:
    """The best of five medians of both."""
    medians = [min(_median(world, verb, ask, rounds, at_once) for _ in range(5)) for at_once in (100, 1)]
    print(f"{name:<32} {medians[0]:>9.0f} {medians[1]:>14.0f}")


def _median(world: World, verb: str, ask: Callable[[int], int], rounds: int, at_once: int) -> float:
    logged(world)
    for _ in range(rounds // at_once):
        ask(at_once)
    return statistics.median(logged(world, verb))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
