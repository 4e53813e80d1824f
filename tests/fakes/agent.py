"""A scripted agent: does its arguments one after the other, then exits with 0.

    python -IS agent.py ignore=INT,TERM mark=marks:start sleep=200 mark=marks:end exit=3

mark=FILE:WORD    append "WORD token workspace monotonic_ns", in one write
out=TEXT err=TEXT write a line to stdout or stderr
stdin=FILE        copy all of stdin to FILE
env=FILE fds=FILE ignored=FILE
                  write the environment (JSON), the open descriptors, the ignored signals
sleep=MS          do nothing for a while
eat=MIB           take memory, and use all of it
spin=MS           use a processor for so long
flood=MIB         write lines of output
ticks=FILE        append a dot every 2 ms, for ever
ignore=INT,TERM   ignore these signals from here on
trap=INT:3        exit with a code on a signal
child=STEPS       start a child that does STEPS, joined by "+"; those of a child's own child by "@"
daemon=STEPS      the same, in a session of its own and with its parent gone
scrubbed=STEPS    the same as daemon, by a new program with an empty environment
wait=             wait for the children
die=TERM          end by a signal
exit=N            exit with a code
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path


def main(steps: list[str]) -> None:
    for step in steps:
        verb, _, what = step.partition("=")
        STEPS[verb](what)


def mark(what: str) -> None:
    file, _, word = what.rpartition(":")
    who = f"{os.environ.get('DISPATCH_TOKEN')} {os.environ.get('DISPATCH_WORKSPACE')}"
    append(file, f"{word} {who} {time.monotonic_ns()}\n")


def append(file: str, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def ticks(file: str) -> None:
    while True:
        append(file, ".")
        time.sleep(0.002)


def eat(mib: str) -> None:
    EATEN.append(b"x" * (int(mib) << 20))


def spin(ms: str) -> None:
    until = time.process_time() + int(ms) / 1000
    while time.process_time() < until:
        pass


def flood(mib: str) -> None:
    for number in range(int(mib)):
        os.write(1, (f"{number:07}\n" * (1 << 17)).encode())


def ignore(names: str) -> None:
    for name in names.split(","):
        signal.signal(signal.Signals[f"SIG{name}"], signal.SIG_IGN)


def trap(what: str) -> None:
    name, _, code = what.partition(":")
    signal.signal(signal.Signals[f"SIG{name}"], lambda *_: os._exit(int(code)))


def child(steps: str) -> None:
    if not os.fork():
        main(steps.split("+" if "+" in steps else "@"))
        os._exit(0)


def daemon(steps: str) -> None:
    middle = os.fork()
    if not middle:
        os.setsid()
        child(steps)
        os._exit(0)
    os.waitpid(middle, 0)


def scrubbed(steps: str) -> None:
    middle = os.fork()
    if not middle:
        os.setsid()
        if not os.fork():
            os.execve(sys.executable, [sys.executable, "-IS", __file__, *steps.split("+")], {})
        os._exit(0)
    os.waitpid(middle, 0)


def wait(_: str) -> None:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def ignored(file: str) -> None:
    dispositions = {number: signal.getsignal(number) for number in signal.valid_signals()}
    mine = {signal.SIGPIPE, signal.SIGXFSZ}  # Python ignores these itself
    names = [signal.Signals(n).name for n, how in dispositions.items() if how == signal.SIG_IGN and n not in mine]
    blocked = [signal.Signals(n).name for n in signal.pthread_sigmask(signal.SIG_BLOCK, ())]
    append(file, json.dumps({"ignored": names, "blocked": blocked}))


def die(name: str) -> None:
    signal.signal(signal.Signals[f"SIG{name}"], signal.SIG_DFL)
    os.kill(os.getpid(), signal.Signals[f"SIG{name}"])


def fds(file: str) -> None:
    found = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  # one is the listing's own
    append(file, json.dumps([number for number in found if Path(f"/proc/self/fd/{number}").exists()]))


EATEN: list[bytes] = []
STEPS: dict[str, Callable[[str], object]] = {
    "mark": mark,
    "out": lambda text: print(text, flush=True),
    "err": lambda text: print(text, file=sys.stderr, flush=True),
    "stdin": lambda file: Path(file).write_bytes(sys.stdin.buffer.read()),
    "env": lambda file: append(file, json.dumps(dict(os.environ))),
    "fds": fds,
    "ignored": ignored,
    "sleep": lambda ms: time.sleep(int(ms) / 1000),
    "eat": eat,
    "spin": spin,
    "flood": flood,
    "ticks": ticks,
    "ignore": ignore,
    "trap": trap,
    "child": child,
    "daemon": daemon,
    "scrubbed": scrubbed,
    "wait": wait,
    "die": die,
    "exit": lambda code: os._exit(int(code)),
}

if __name__ == "__main__":
    main(sys.argv[1:])
