#!/usr/bin/env python3
"""Acts as claude, codex or gemini, whichever name it is started by: sessions as they keep them, below $HOME.

Its first run asks in BLOCKED.md, once the file `ask` lies in its directory; one that finds ANSWER.md is done. Each run
appends {argv, stdin, session, goes_on} to $HOME/started. A session that it does not know, it refuses as they do.
"""

import json
import os
import sys
import time
import uuid
from pathlib import Path


def main() -> None:
    name, args, home = Path(sys.argv[0]).name, sys.argv[1:], Path(os.environ["HOME"])
    wanted = _after(args, "resume" if name == "codex" else "--resume")
    session = wanted or _after(args, "--session-id") or str(uuid.uuid4())
    kept = home / f"{name}-{session}"
    with (home / "started").open("a") as started:
        goes_on = bool(wanted)
        json.dump({"argv": args, "stdin": sys.stdin.read(), "session": session, "goes_on": goes_on}, started)
        started.write("\n")
    if bool(wanted) != kept.exists():
        sys.exit(f"No conversation found with session ID: {session}" if wanted else f"{session} is already in use")
    kept.touch()
    if name == "codex":
        print(json.dumps({"type": "thread.started", "thread_id": session}), flush=True)
    if Path("ANSWER.md").exists():
        Path("done").write_text(Path("ANSWER.md").read_text())
        return
    while not Path("ask").exists():
        time.sleep(0.02)
    Path("BLOCKED.md").write_text("which port?\n")


def _after(args: list[str], word: str) -> str:
    return args[args.index(word) + 1] if word in args else ""


main()
