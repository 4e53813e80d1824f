"""A checkout of a git repository in `<workspace>/repo`, on a branch of its own, before the agent starts."""

import asyncio
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from coordinator.errors import WorkspaceError

#: Without `ext::`, by which a URL could name a command to run; without a prompt nobody would answer.
_GIT: Final = {"GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}

#: Gives git the login of a source. A program's arguments are seen by all users of a host, its environment is not.
_HELPER: Final = (
    '!f() { test "$1" = get && '
    'printf "username=%s\\npassword=%s\\n" "$DISPATCH_GIT_USER" "$DISPATCH_GIT_PASSWORD"; }; f'
)


class Source(NamedTuple):
    """A source without its password, as it may be shown, and what git's environment needs to open it."""

    url: str
    environ: Mapping[str, str]


def parted(source: str) -> Source:
    """`https://user:password@host/x` without its login, which git asks for; any other source as it is."""
    try:
        parts = urlsplit(source)
        password = parts.password
    except ValueError:
        return Source(source, {})
    if parts.scheme not in ("http", "https") or password is None:
        return Source(source, {})
    server = parts.netloc.rpartition("@")[2]
    helper = f"credential.{parts.scheme}://{server}.helper"  # of this server alone, wherever it sends us
    environ = {"GIT_CONFIG_COUNT": "2"}
    for at, value in enumerate(("", _HELPER)):  # the first forgets those of the host
        environ |= {f"GIT_CONFIG_KEY_{at}": helper, f"GIT_CONFIG_VALUE_{at}": value}
    environ |= {"DISPATCH_GIT_USER": unquote(parts.username or ""), "DISPATCH_GIT_PASSWORD": unquote(password)}
    return Source(parts._replace(netloc=server).geturl(), environ)


def branch_for(workspace: str) -> str:
    """The branch of a workspace that names none: `agent/<its name>`, spelt as git wants it."""
    parts = [re.sub(r"\.{2,}|[^A-Za-z0-9._+@#=,/-]", "-", part).strip(".") for part in workspace.split("/")]
    name = "/".join(part.removesuffix(".lock") or "x" for part in parts)
    return f"agent/{name}".replace("@{", "-")


async def checkout(source: str, repo: Path, branch: str) -> None:
    """Clone `source` into `repo`, on `branch` as it is there, else on a new one. Raises WorkspaceError.

    A checkout of the same source is left as it is; one of another is refused, since it may hold work. A password in the
    source opens it for us alone: it stands in no argument, no message and not in the checkout.
    """
    if branch.startswith("-"):  # Redis was changed by hand: git would take it for an option
        raise WorkspaceError(f"{branch} is no name of a branch")
    source, login = parted(source)
    try:
        if repo.exists():  # noqa: ASYNC240  # one look, on the local disk
            return await _same(source, repo)
        for leftover in repo.parent.glob(".repo.*"):  # of a worker that died half-way
            shutil.rmtree(leftover, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=".repo.", dir=repo.parent))
    except OSError as error:
        raise WorkspaceError(f"can not check out {source}: {error}") from error
    try:
        await _git("clone", "--quiet", "--", source, str(partial), login=login)
        try:
            await _git("-C", str(partial), "switch", "--quiet", branch)
        except WorkspaceError:  # no such branch yet
            await _git("-C", str(partial), "switch", "--quiet", "--create", branch)
        partial.rename(repo)  # noqa: ASYNC240  # one step, on the local disk
    except OSError as error:
        raise WorkspaceError(f"can not check out {source}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


async def _same(source: str, repo: Path) -> None:
    try:
        origin = (await _git("-C", str(repo), "config", "--get", "remote.origin.url")).strip()  # as it was given
    except WorkspaceError:
        return  # not a clone of ours: whoever put it there knows why
    origin = parted(origin).url  # of an older checkout, with the password in it
    if origin != source:
        fix = "dispatch it under another name, or remove that directory"
        raise WorkspaceError(f"{repo} is a checkout of {origin}, not of {source}: {fix}")


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "REDIS_URL"}  # git starts others


async def _git(*arguments: str, login: Mapping[str, str] = _GIT) -> str:
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env={**_environ(), **_GIT, **login}, start_new_session=True,
    )  # fmt: skip
    try:
        answer, said = await process.communicate()
    except asyncio.CancelledError:
        os.killpg(process.pid, signal.SIGKILL)  # its helpers too; it leads a session of its own
        await process.wait()
        raise
    if process.returncode:
        last = said.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"exit {process.returncode}"]
        raise WorkspaceError(f"git {arguments[0]} failed: {last[0][:300]}")
    return answer.decode("utf-8", "replace")
