"""docker-compose.yml: its services run, are found well, do the work and end when asked; its Dockerfile can be built."""

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.composed import FILE, OURS, SERVICES, TEXT, TOP, Composed, build, seconds, steps
from tests.servers import REDIS, program
from tests.waiting import wait_until_sync

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("compose")]  # one image for all


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of the image, installed from a copy of just what the Dockerfile copies."""
    return build(OURS[0], tmp_path_factory.mktemp("compose"))


def test_two_replicas_and_two_workers_share_one_redis() -> None:
    commands = [tuple(SERVICES[name]["command"][:2]) for name in OURS]
    assert sorted(commands) == [("coordinator", "serve")] * 2 + [("worker", "run")] * 2
    assert {SERVICES[name]["environment"]["REDIS_URL"] for name in OURS} == {"redis://redis:6379/0"}
    assert len({service["hostname"] for service in SERVICES.values()}) == len(SERVICES)
    for service in SERVICES.values():
        assert {"healthcheck", "restart", "stop_grace_period"} <= set(service)


def test_every_volume_and_file_that_is_mounted_is_declared() -> None:
    mounted = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert mounted == set(FILE["volumes"])
    used = {config["source"] for service in SERVICES.values() for config in service.get("configs", [])}
    assert used == set(FILE["configs"])
    assert "$" not in TEXT  # compose would put its own values there


def test_a_worker_is_the_host_that_its_machine_is_called() -> None:
    for name in OURS:
        service = SERVICES[name]
        if service["command"][0] == "worker":
            host = service["command"][service["command"].index("--host") + 1]
            assert service["hostname"] == host
            assert f"^{host} " in service["healthcheck"]["test"][1]


def test_the_dockerfile_fits_the_project() -> None:
    assert len({str(steps(name)) for name in OURS}) == 1
    words = dict(steps(OURS[0]))
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    version = re.fullmatch(r"python:(3\.\d+)-slim", words["FROM"])
    assert version
    assert tuple(map(int, version[1].split("."))) >= tuple(map(int, project["requires-python"].lstrip(">=").split(".")))
    assert words["USER"] not in {"", "0", "root"}
    assert steps(OURS[0])[-1][0] == "USER"  # nothing after it is done as root, and no service asks for another
    assert all("user" not in SERVICES[name] for name in OURS)
    made = f"useradd --create-home --uid 1000 {words['USER']} "
    assert any(word == "RUN" and made in rest for word, rest in steps(OURS[0]))


def test_the_image_holds_the_program_and_its_library(programs: Path, tmp_path: Path) -> None:
    code = "import coordinator; from coordinator import library; print(coordinator.__file__, len(library.VERBS))"
    environ = {"PATH": os.environ["PATH"]}
    said = subprocess.check_output([programs / "python", "-c", code], cwd=tmp_path, env=environ, text=True)
    where, verbs = said.split()
    assert Path(where).is_relative_to(programs.parent)
    assert int(verbs) >= 19
    assert {"coordinator", "worker"} <= {path.name for path in programs.iterdir()}


def test_the_services_do_the_work_and_end_when_asked(programs: Path, tmp_path: Path) -> None:
    program(REDIS)  # skips where there is none
    with Composed(programs, tmp_path) as fleet:
        assert not fleet.healthy("redis")
        assert not fleet.healthy("replica-1")  # there is no Redis
        fleet.start("redis")
        for name in OURS:
            if SERVICES[name]["command"][0] == "worker":
                assert not fleet.healthy(name)  # nobody has heard of it
            fleet.start(name)

        shown = re.search(r"docker compose exec (\S+) (.*)", TEXT)
        assert shown
        assert "completed" in fleet.run(shown[1], *shlex.split(shown[2]))
        assert [path.read_text() for path in fleet.workspaces.rglob("note.txt")] == ["Hello"]

        _quiet_lets_a_run_end(fleet)
        for name in reversed(SERVICES):
            if name != "worker-1":
                fleet.signal(name)
                assert fleet.ended(name) == 0, fleet.said(name)
        assert not fleet.healthy("redis")


def _quiet_lets_a_run_end(fleet: Composed) -> None:
    """Stop worker-1 while its agent waits: for somebody who reads what it writes."""
    assert seconds(SERVICES["worker-1"]["stop_grace_period"]) >= 600  # agents run for minutes
    note = fleet.workspaces / "slow" / "note.txt"
    note.parent.mkdir()
    os.mkfifo(note)
    fleet.run("worker-1", "coordinator", "dispatch", "slow", "--task", "Late", "--host", "w1")
    wait_until_sync(lambda: "running" in fleet.run("worker-1", "coordinator", "workspaces"), "slow runs")
    fleet.signal("worker-1")
    wait_until_sync(lambda: "quiet: what runs may end" in fleet.said("worker-1"), "w1 is quiet")
    assert fleet.healthy("worker-1")
    assert fleet.processes["worker-1"].poll() is None
    assert note.read_text() == "Late"
    assert fleet.ended("worker-1") == 0, fleet.said("worker-1")
    assert "completed" in fleet.run("worker-2", "coordinator", "why", "slow")
