"""`python -m tests.mutate`: every one-token change of the library is a mutant; is it caught?"""

import argparse
import hashlib
import json
import pickle
import random
import sys
import tempfile
import time
from multiprocessing import Process, SimpleQueue
from pathlib import Path

from coordinator import library
from tests.mutate import mutants, prepare, report
from tests.mutate.hunt import Hunt
from tests.mutate.mutants import Mutant
from tests.mutate.prepare import Recorded
from tests.mutate.units import TOP, Units
from tests.servers import Servers, die_with_parent

#: What steps are made of.
_MADE_OF = (
    "coordinator/operations/*.*",
    "tests/*.py",
    "tests/model/*.py",
    "tests/unit/operations/*.py",
    *(f"tests/mutate/{name}.py" for name in ("overheard", "prepare", "steps", "tapes", "texts", "units")),
)


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__)
    asked.add_argument("--file", action="append", help="_gates or submit; may be given more than once")
    asked.add_argument("--sample", type=int, help="so many of them, chosen by the seed")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--tapes", type=int, default=150, help="examples of the model that a mutant may meet")
    asked.add_argument("--jobs", type=int, default=2)
    asked.add_argument("--resume", type=Path, help="the file of results: what stands there is not tried again")
    asked.add_argument("--again", action="store_true", help="but what stands there as alive is tried again")
    asked.add_argument("--report", action="store_true", help="only tell what stands in the file of results")
    options = asked.parse_args()
    path = options.resume or Path(tempfile.mkstemp(prefix="mutants-", suffix=".jsonl")[1])
    chosen = [one for file in options.file or (*library.WORDS, *library.VERBS) for one in mutants.of(file)]
    if options.sample and options.sample < len(chosen):
        chosen = random.Random(options.seed).sample(chosen, options.sample)
    known = report.rows(path)
    done = {row["id"] for row in known if row["caught"] or not options.again}
    if options.again:
        chosen = [one for one in chosen if one.id in {row["id"] for row in known}]
    if not options.report:
        _try_all([one for one in chosen if one.id not in done], options, path)
    wanted = {one.id for one in chosen}
    sys.stdout.write(report.told([row for row in report.rows(path) if row["id"] in wanted]))
    sys.stdout.write(f"\nthe results are in {path}\n")
    return 0


def _try_all(chosen: list[Mutant], options: argparse.Namespace, path: Path) -> None:
    recorded = _prepared(options.tapes, options.seed)
    waiting: SimpleQueue[Mutant | None] = SimpleQueue()
    results: SimpleQueue[dict[str, object]] = SimpleQueue()
    hunters = [Process(target=_work, args=(recorded, waiting, results)) for _ in range(options.jobs)]
    for hunter in hunters:
        hunter.start()
    begun, alive = time.monotonic(), 0
    left = iter([*chosen, *[None] * options.jobs])
    for _ in range(2 * options.jobs):
        waiting.put(next(left, None))
    with path.open("a", encoding="utf-8") as file:
        for count in range(1, len(chosen) + 1):
            result = results.get()
            waiting.put(next(left, None))
            file.write(json.dumps(result) + "\n")
            file.flush()
            alive += not result["caught"]
            if count % 25 == 0 or count == len(chosen):
                each = (time.monotonic() - begun) / count
                rest = each * (len(chosen) - count) / 60
                sys.stderr.write(f"\r{count} of {len(chosen)}, {alive} alive, {each:.2f} s each, {rest:.0f} min left  ")
                sys.stderr.flush()
    sys.stderr.write("\n")
    for hunter in hunters:
        hunter.join()


def _work(recorded: Recorded, waiting: "SimpleQueue[Mutant | None]", results: "SimpleQueue[dict[str, object]]") -> None:
    die_with_parent()
    hunt = Hunt(recorded, Units())
    try:
        while mutant := waiting.get():
            verdict = hunt.judge(mutant)
            told = {"id": mutant.id, "file": mutant.file, "line": mutant.line, "kind": mutant.kind}
            told |= {"old": mutant.old, "new": mutant.new, "around": " ".join(mutant.around.split())}
            results.put(told | verdict._asdict())
    finally:
        hunt.stop()


def _prepared(count: int, seed: int) -> Recorded:
    """What mutants are asked: kept for the next time while library and tests are the same."""
    text = b"".join(path.read_bytes() for pattern in _MADE_OF for path in sorted(TOP.glob(pattern)))
    name = hashlib.sha256(text + f"{count} {seed}".encode()).hexdigest()[:16]
    kept = Path(tempfile.gettempdir()) / f"dispatch-mutants-{name}.pickle"
    if kept.exists():
        found: Recorded = pickle.loads(kept.read_bytes())
        return found
    sys.stderr.write("recording what the model and each unit test ask: some minutes\n")
    servers = Servers()
    try:
        recorded = prepare.recorded(servers, count, seed)
    finally:
        servers.stop()
    kept.write_bytes(pickle.dumps(recorded))
    return recorded


if __name__ == "__main__":
    sys.exit(main())
