"""What is secret, with real processes: looked for in every command line, environment, log, file, fact and key."""

import base64
import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from coordinator.operations import Submit
from tests.fleet import Fleet
from tests.gits import git
from tests.roles import Guarded
from tests.servers import REDIS, Servers
from tests.waiting import wait_until
from workers.source import checkout

PROMPT, PASSWORD, TOKEN = "pr0mpt-of-this-task", "s3cr3t-word", "t0ken-of-a-service"
AGENT = 'cat > "$1/seen"; env > "$1/environ"; echo working; until [ -e "$1/go" ]; do sleep 0.02; done; '
#: A child that is left behind, and shows the task itself: what sweeps it must not write that down.
AGENT += 'sh -c "sleep 600; :" "$(cat "$1/seen")" & echo done'


def command_lines(secret: str) -> list[str]:
    """The processes of this machine in whose arguments it stands."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found += [f"{process.pid} {line}" for line in [" ".join(process.cmdline())] if secret in line]
    return found


def carriers(secret: str, place: Path) -> set[int]:
    """The processes of this test, which know of its place, in whose environment it stands: others may have the same."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environ = "\n".join(process.environ().values())
            if secret in environ and str(place) in environ + " ".join(process.cmdline()):
                found.add(process.pid)
    return found


def files(place: Path, secret: str) -> set[str]:
    """The files below a place in which it stands."""
    found = set()
    for path in place.rglob("*"):
        if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes():
            found.add(str(path.relative_to(place)))
    return found


@pytest.mark.parametrize("server_kind", [REDIS], indirect=True)
async def test_prompt_and_password_stand_only_where_they_must(
    servers: Servers, server_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded = Guarded(servers, server_kind, tmp_path.parent)
    place = tmp_path / "fleet"
    place.mkdir()
    monkeypatch.setenv("SERVICE_TOKEN", TOKEN)
    runner: dict[str, object] = {"codex": {"command": ["sh", "-c", AGENT, "sh", str(place)]}}
    log = place / "workspaces" / "a" / "1" / ".meta" / "agent-codex.log"
    async with Fleet(guarded.url, place, {"codex": 1}, runner) as fleet:
        fleet.serve("r1", guarded.url_of("replica"))
        fleet.work("h1", 1, guarded.url_of("worker"))
        await fleet.ready(1)
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task=PROMPT))
        await wait_until(lambda: log.exists() and "working" in log.read_text(), "the agent runs")
        assert (place / "seen").read_text() == PROMPT  # the agent itself is told
        assert command_lines(PROMPT) + command_lines(PASSWORD) + command_lines(TOKEN) == []
        assert carriers(PASSWORD, place) == {fleet.processes[name].pid for name in ("r1", "h1")}
        seen = (place / "environ").read_text()
        assert [secret for secret in (PROMPT, PASSWORD, TOKEN, "REDIS_URL") if secret in seen] == []
        running = files(place, PROMPT)
        (place / "go").touch()
        await fleet.becomes("a/1", "completed")
        assert "swept workspace=a/1 processes=" in fleet.said("h1")
        note = next(name for name in running if name.endswith(".grant"))  # for a server that forgets the run
        assert running | files(place, PROMPT) == {"seen", "workspaces/a/1/status.json", note}
        await wait_until(lambda: not (place / note).exists(), "the worker has let go of it")
        assert files(place, PASSWORD) == files(place, TOKEN) == set()
        facts = "".join(entry.json for entry in await fleet.store.last_events(1000))
        assert "AgentCompleted" in facts
        assert PROMPT not in facts
        assert await holders(fleet, PROMPT) == {fleet.store.key("workspace", "a/1")}
        assert await holders(fleet, PASSWORD) | await holders(fleet, TOKEN) == set()


async def holders(fleet: Fleet, secret: str) -> set[str]:
    """The keys of Redis in which it stands."""
    redis, found = fleet.store.redis, set()
    await redis.config_set("rdbcompression", "no")  # so that a dump shows texts as they are
    async for key in redis.scan_iter(count=1000):
        if secret.encode() in (await redis.dump(key) or b""):
            found.add(key.decode())
    return found


class Forge(http.server.SimpleHTTPRequestHandler):
    """A git server that wants a login, and looks at its host meanwhile."""

    look: Callable[[], None]

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(f"ana:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="forge"')
            self.end_headers()
            return
        type(self).look()
        super().do_GET()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The URL of a repository behind a password, and the command lines that were seen to show it."""
    bare = tmp_path / "served" / "x.git"
    identity = ["-c", "user.name=t", "-c", "user.email=t@example"]
    source = str(tmp_path / "x")
    git("init", "-q", source)
    git("-C", source, *identity, "commit", "-q", "--allow-empty", "-m", "first")
    git("clone", "-q", "--bare", source, str(bare))
    git("-C", str(bare), "update-server-info")
    shown: list[str] = []

    class Here(Forge):
        @staticmethod
        def look() -> None:
            shown.extend(command_lines(PASSWORD))

        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(bare.parent))  # type: ignore[arg-type]

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Here) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://ana:{PASSWORD}@127.0.0.1:{server.server_port}/x.git", shown
        server.shutdown()
        thread.join()


async def test_the_password_of_a_source_opens_it_and_is_seen_nowhere(
    forge: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, shown = forge
    repo = tmp_path / "workspace" / "repo"
    repo.parent.mkdir()
    await checkout(url, repo, "agent/x")
    assert (repo / ".git" / "HEAD").read_text() == "ref: refs/heads/agent/x\n"
    assert shown == []
    assert files(repo, PASSWORD) == set()
    assert git("-C", str(repo), "remote", "get-url", "origin").strip() == url.replace(f"ana:{PASSWORD}@", "")
    await checkout(url, repo, "agent/x")  # known again
    git("-C", str(repo), "remote", "set-url", "origin", url)
    await checkout(url, repo, "agent/x")  # also one of before
    with pytest.raises(Exception, match="is a checkout of") as said:
        await checkout(url.replace("x.git", "y.git"), repo, "agent/x")
    with pytest.raises(Exception, match="git clone failed") as failed:
        await checkout(url.replace("x.git", "y.git"), tmp_path / "workspace" / "other", "agent/x")
    assert PASSWORD not in f"{said.value} {failed.value}"
