"""Trees of workspaces as the reference runner leaves them on a disk, and processes that live beside them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STATUSES = ("completed", "queued", "failed", "merged", "running", "blocked", "ready-for-review", "completed")
AGENTS = ("codex:gpt-5.4", "claude", "gemini", "codex")


def put(root: Path, name: str, status: str | bytes | None = None, *, checked_out: bool = False, **fields: Any) -> Path:
    """One workspace; `status` may be the bytes of its file. Returns its directory."""
    directory = root / name
    directory.mkdir(parents=True, exist_ok=True)
    if checked_out:
        for part in ("repo", ".meta"):
            (directory / part).mkdir(exist_ok=True)
    if isinstance(status, bytes):
        (directory / "status.json").write_bytes(status)
    elif status:
        said = {"status": status, "agent": "codex", "repo": "go-io", "task": "Fix it", "runs": 0, **fields}
        (directory / "status.json").write_text(json.dumps(said, indent=2))
    return directory


def says(root: Path, name: str) -> str:
    """The status that the file of a workspace tells; nothing where none can be read."""
    try:
        return str(json.loads((root / name / "status.json").read_text())["status"])
    except (OSError, ValueError, KeyError):
        return ""


def many(root: Path, count: int) -> dict[str, int]:
    """So many workspaces of mixed statuses in the three layouts, some for branches with a slash; statuses counted.

    What seems to run has a pid that no process has.
    """
    counts: dict[str, int] = {}
    for at in range(count):
        status = STATUSES[at % len(STATUSES)]
        counts[status] = counts.get(status, 0) + 1
        repo = f"repo-{at % 23}"
        name = (f"core/{repo}/task-{at}", f"{repo}-{1_770_000_000 + at}", f"core/{repo}/feature/x/b-{at}")[at % 3]
        fields: dict[str, Any] = {
            "agent": AGENTS[at % len(AGENTS)],
            "repo": repo,
            "org": "core",
            "branch": f"agent/fix-{at}",
            "started_at": "2026-03-26T10:11:12.123456789Z",
            "updated_at": f"2026-03-26T11:{at // 60 % 60:02}:{at % 60:02}Z",
            "issue": at,
        }
        if status == "running":
            fields |= {"pid": 4_194_303 + at, "runs": 1}
        put(root, name, status, checked_out=at % 3 == 2, **fields)
    return counts


@contextmanager
def living(**environ: str) -> Iterator[int]:
    """A process that lives meanwhile, with these variables; its pid."""
    command = [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, env={**os.environ, **environ}, stdin=-1, stdout=-1) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        process.communicate()
