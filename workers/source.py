"""A checkout of a git repository in `<workspace>/repo`, on a branch of its own, before the agent starts."""

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from coordinator.errors import WorkspaceError

#: Without `ext::`, by which a URL could name a command to run; without a prompt nobody would answer.
_GIT: Final = {"GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}


def branch_for(workspace: str) -> str:
    """The branch of a workspace that names none: `agent/<its name>`, spelt as git wants it."""
    parts = [re.sub(r"\.{2,}|[^A-Za-z0-9._+@#=,/-]", "-", part).strip(".") for part in workspace.split("/")]
    name = "/".join(part.removesuffix(".lock") or "x" for part in parts)
    return f"agent/{name}".replace("@{", "-")


async def checkout(source: str, repo: Path, branch: str) -> None:
    """Clone `source` into `repo` on a new `branch`; one that is there is left as it is. Raises WorkspaceError."""
    if repo.exists():  # noqa: ASYNC240  # one look, on the local disk
        return
    partial = repo.with_name(".repo.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a worker that died half-way
    try:
        await _git("clone", "--quiet", "--", source, str(partial))
        await _git("-C", str(partial), "checkout", "--quiet", "-B", branch)
        partial.rename(repo)
    except OSError as error:
        raise WorkspaceError(f"can not check out {source}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


async def _git(*arguments: str, environ: Mapping[str, str] = os.environ) -> None:
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE, env={**environ, **_GIT}, start_new_session=True,
    )  # fmt: skip
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = said.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"exit {process.returncode}"]
        raise WorkspaceError(f"git {arguments[0]} failed: {last[0][:300]}")
