"""What the demo's agents share: read the task on stdin, do it in the checkout, commit."""

import os
import re
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Callable
from pathlib import Path


def run(do: Callable[[Path], str]) -> None:
    """Do the task that stdin holds to the directory it names, and commit what `do` left under the line it returns."""
    task = sys.stdin.read()
    say(f"task: {task.strip()}")
    place = _place(task)
    _commit(place, do(place))


def say(text: str) -> None:
    """One line of the agent's log."""
    print(text, flush=True)


def modules(place: Path) -> list[Path]:
    """The Python files below a directory."""
    return sorted(place.rglob("*.py"))


def read(module: Path) -> str:
    """The text of a module, in whatever encoding it names."""
    with tokenize.open(module) as file:
        return file.read()


def python(*arguments: str) -> str:
    """What a fresh interpreter prints; SystemExit with its last line when it fails."""
    with tempfile.TemporaryDirectory() as cache:
        command = (sys.executable, "-I", "-S", "-X", f"pycache_prefix={cache}", *arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"python {' '.join(arguments)}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    return done.stdout


def _place(task: str) -> Path:
    found = re.search(r"\bIn (Lib(?:/\w+)+):", task)
    if not found or not Path(found[1]).is_dir():
        raise SystemExit("the task names no directory that is there: it begins with `In Lib/<package>:`")
    return Path(found[1])


def _commit(place: Path, message: str) -> None:
    subprocess.run(("git", "add", "--", str(place)), check=True)
    changed = subprocess.run(("git", "diff", "--cached", "--quiet"), check=False).returncode
    if not changed:
        say("nothing to change")
        return
    by = os.environ.get("DEMO_AGENT", "agent")
    subprocess.run(("git", "commit", "--quiet", "-m", f"{place.name}: {message}", "-m", f"Agent: {by}"), check=True)
    say(f"committed: {place.name}: {message}")
