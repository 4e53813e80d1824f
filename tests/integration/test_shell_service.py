"""docs/verbs.md is enough: its examples run as they stand, and a shell script lives by it with redis-cli alone."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from coordinator import library, messages
from coordinator.doors.keys import TYPES
from tests import document
from tests.waiting import wait_until_sync

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "tests" / "fakes" / "service.sh"
BUS = "{dispatch}:bus"


@pytest.fixture
def redis(server_url: str) -> Iterator["Redis"]:
    """A server with a thawed namespace."""
    with Redis.from_url(server_url, decode_responses=True) as client:
        client.function_load(library.TEXT)
        yield client


@pytest.fixture
def service(server_url: str) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts the script with its arguments; what is left of it is ended."""
    cli = shutil.which("redis-cli") or shutil.which("valkey-cli")
    if cli is None:
        if os.environ.get("CI") or os.environ.get("DISPATCH_REQUIRE_SERVERS"):
            pytest.fail("redis-cli is not on PATH")
        pytest.skip("redis-cli is not on PATH")
    environ = {**os.environ, "CLI": f"{cli} -s {server_url.removeprefix('unix://')}", "ROOT": "{dispatch}"}
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> "subprocess.Popen[str]":
        command = ["sh", str(SERVICE), *words]
        started.append(
            subprocess.Popen(
                command,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        _kill(process)


def _kill(service: "subprocess.Popen[str]") -> None:
    """Kill -9 it with all that it started."""
    with suppress(ProcessLookupError):  # it has ended, and nothing is left of it
        os.killpg(service.pid, signal.SIGKILL)
    service.communicate()


@pytest.fixture
def serve(redis: "Redis", server_url: str, tmp_path: Path) -> Iterator[Callable[[int], None]]:
    """Starts so many replicas, and waits until they hear the bus."""
    environ = {**os.environ, "REDIS_URL": server_url, "CORE_WORKSPACE": str(tmp_path)}
    command = [sys.executable, "-m", "coordinator", "serve"]
    with ExitStack() as ends:

        def start(count: int) -> None:
            for _ in range(count):
                replica = ends.enter_context(
                    subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                )
                ends.callback(replica.terminate)
            wait_until_sync(lambda: dict(redis.pubsub_numsub(BUS))[BUS] == count, "the replicas hear the bus")

        yield start


def _call(redis: "Redis", verb: str, question: object) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(str(redis.fcall(f"dispatch_{verb}", 1, "{dispatch}", json.dumps(question))))
    return answer


def _output(process: "subprocess.Popen[str]") -> list[str]:
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    return out.splitlines()


def test_a_shell_script_lives_a_whole_life_as_a_host(redis: "Redis", service: Callable[..., Any]) -> None:
    _call(redis, "thaw", {})
    host = service("host", "sh1", "shell", "3")
    wait_until_sync(lambda: redis.zcard("{dispatch}:waiting:shell"), "the script waits for more")
    _call(redis, "submit", {"workspace": "third", "agent": "shell", "task": "woken"})
    assert _output(host) == [
        *("renewed", "queued", "queued"),
        *("runs sh1/one one", "300000", "completed", "runs sh1/two two", "300000", "completed", "waits"),
        *("runs third woken", "300000", "completed", "forgotten"),
    ]
    assert redis.zcard("{dispatch}:status:completed") == 3
    assert redis.exists("{dispatch}:host:sh1", "{dispatch}:slots:*", "{dispatch}:leases") == 0


def test_the_run_of_an_asker_is_ended_by_one_publish(
    redis: "Redis", serve: Callable[[int], None], service: Callable[..., Any]
) -> None:
    _call(redis, "thaw", {})
    serve(1)
    asker = service("asker", "svc-1", "core/go-io/task-1", "codex")
    wait_until_sync(lambda: redis.zcard("{dispatch}:status:running"), "the asker runs it")
    report = {"type": "AgentCompleted", "agent": "codex", "workspace": "core/go-io/task-1", "status": "merged"}
    assert redis.publish(BUS, json.dumps(report)) == 1
    assert _output(asker) == ["granted", "merged"]


def _waits(redis: "Redis", host: str) -> None:
    wait_until_sync(lambda: redis.hexists(f"{{dispatch}}:host:{host}", "waiting"), f"{host} waits for work")


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("how", ["confirm", "report"])
def test_a_shell_script_lives_and_dies_as_a_push_host(
    redis: "Redis", serve: Callable[[int], None], service: Callable[..., Any], how: str, replicas: int
) -> None:
    """It runs one to its end; killed in the next, it leaves its slot back and the question whether it is dead."""
    _call(redis, "apply", {"settings": {"lease_ttl": 3000, "beat": 1000, "kill_grace": 0}})
    _call(redis, "thaw", {})
    serve(replicas)
    shell = service("push", "sh1", "shell", how)
    _waits(redis, "sh1")
    _call(redis, "submit", {"workspace": "one", "agent": "shell", "task": "work"})
    wait_until_sync(lambda: redis.zcard("{dispatch}:status:completed"), "it has run to its end")
    _call(redis, "submit", {"workspace": "two", "agent": "shell", "task": "hold"})
    wait_until_sync(lambda: redis.hget("{dispatch}:workspace:two", "confirmed"), "its next run is confirmed")
    assert redis.smembers("{dispatch}:slots:shell") == {"two"}
    _kill(shell)
    wait_until_sync(lambda: redis.zcard("{dispatch}:status:blocked"), "its lease has ended")
    question = redis.hget("{dispatch}:workspace:two", "question")
    assert question == "no proof of death: sh1 went silent; retry when the agent is certainly dead"
    assert redis.exists("{dispatch}:slots:shell", "{dispatch}:slots:*", "{dispatch}:held:sh1") == 0
    facts: Any = redis.xrange("{dispatch}:events")
    assert [row["type"] for _, row in facts if row["type"] in ("SpawnQueued", "ReportRefused")] == ["SpawnQueued"] * 2


@pytest.mark.reference("W6")
@pytest.mark.parametrize("replicas", [1, 2])
def test_a_grant_that_a_push_host_never_confirms_goes_to_another(
    redis: "Redis", serve: Callable[[int], None], service: Callable[..., Any], replicas: int
) -> None:
    _call(redis, "apply", {"settings": {"spawn_timeout": 1000, "max_attempts": 99}})
    _call(redis, "thaw", {})
    serve(replicas)
    service("push", "deaf", "shell", "never")
    _waits(redis, "deaf")
    _call(redis, "submit", {"workspace": "one", "agent": "shell", "task": "work"})
    assert redis.smembers("{dispatch}:held:deaf") == {"one"}
    service("push", "sh2", "shell", "confirm")
    wait_until_sync(lambda: redis.zcard("{dispatch}:status:completed"), "another has run it")
    host, attempt = redis.hmget("{dispatch}:workspace:one", "host", "attempt")
    assert (host, int(attempt or 0) > 1) == (
        "sh2",
        True,
    )  # the deaf one may have had it again before the other was there


def _shape(value: Any) -> Any:
    """Fields, their types, and how many; of texts and numbers only that they are."""
    if isinstance(value, dict):
        return {name: value[name] if name in ("outcome", "reason", "status") else _shape(value[name]) for name in value}
    return [_shape(one) for one in value] if isinstance(value, list) else type(value)


def _tokens(shown: Any, real: Any) -> Iterator[tuple[str, str]]:
    """Each token in the answer shown, and the one that stands for it now."""
    if isinstance(shown, dict):
        for name in shown:
            if name == "token":
                yield str(shown[name]), str(real[name])
            yield from _tokens(shown[name], real[name])
    elif isinstance(shown, list):
        for one, other in zip(shown, real, strict=True):
            yield from _tokens(one, other)


def _milliseconds(redis: "Redis") -> int:
    seconds, micros = redis.time()
    return int(seconds * 1000 + micros // 1000)


def test_every_example_of_the_document_answers_as_it_shows(redis: "Redis") -> None:
    tokens: dict[str, str] = {}
    examples = document.calls()
    for command, shown in examples:
        for old, new in tokens.items():
            command = command.replace(old, new)  # noqa: PLW2901  # the same command, now
        then = _milliseconds(redis)
        wait_until_sync(lambda then=then: _milliseconds(redis) > then + 1, "the server's clock moved on")  # type: ignore[misc]
        answer: Any = redis.execute_command(*shlex.split(command))  # type: ignore[no-untyped-call]
        if not shown.startswith("{"):
            continue  # SET, DEL, XADD: how this client shows them is its own affair
        real, told = json.loads(answer), json.loads(shown)
        assert _shape(real) == _shape(told), command
        tokens |= dict(_tokens(told, real))
    verbs = {command.split()[1] for command, _ in examples if command.startswith("FCALL")}
    assert verbs == {f"dispatch_{verb}" for verb in library.VERBS}
    assert len(examples) > 70


def test_the_examples_show_every_outcome_of_every_verb() -> None:
    seen = {
        (command.split()[1], json.loads(shown)["outcome"]) for command, shown in document.calls() if "FCALL" in command
    }
    for verb, answers in {
        "submit": "granted queued already refused invalid", "claim": "claimed outdated", "renew": "renewed taken",
        "complete": "completed already stale unknown", "confirm": "confirmed stale unknown",
        "kill": "killing invalid", "host": "set refused unknown",
        "explain": "explained unknown", "apply": "applied invalid damaged", "reap": "reaped", "back_off": "set",
    }.items():  # fmt: skip
        assert {outcome for name, outcome in seen if name == f"dispatch_{verb}"} >= set(answers.split()), verb


@pytest.mark.reference(83)
def test_the_document_shows_every_message_that_is_acted_on() -> None:
    shown = document.messages("in")
    parsed = [messages.parse(json.dumps(one)) for one in shown]
    assert [type(one).__name__ for one in parsed] == [one["type"] for one in shown]
    assert {one["type"] for one in shown} == {kind.__name__ for kind in messages.REPORTS}


@pytest.mark.reference(83)
def test_the_document_shows_every_message_that_is_told() -> None:
    shown = document.messages("out")
    assert all(isinstance(messages.parse(json.dumps(one)), messages.Fact) for one in shown)
    told = set(re.findall(r"facts\.tell\('(\w+)'", library.TEXT)) | {"ChannelPush", "AgentNotification"}
    assert {one["type"] for one in shown} >= told


def test_the_document_of_keys_knows_every_key_and_its_type() -> None:
    text = (ROOT / "docs" / "keys.md").read_text()
    told: dict[str, str] = {}
    for names, kinds in re.findall(r"^\| (`:.*?`) \| ([a-z, ]+) \|", text, re.MULTILINE):
        kind = kinds.split(", ")
        for place, name in enumerate(re.findall(r"`:([^`]*)`", names)):
            family = re.sub(r":<.*", ":*", name)
            told[family] = kind[min(place, len(kind) - 1)]
    assert told == TYPES
