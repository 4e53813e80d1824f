"""docker-compose.yml without Docker: an image is a virtual environment, a service a process, a volume a directory."""

import os
import re
import signal
import subprocess
import sysconfig
import venv
from pathlib import Path
from typing import Any, Self

import yaml

from tests.ports import free_port
from tests.waiting import wait_until_sync

TOP = Path(__file__).parent.parent
TEXT = (TOP / "docker-compose.yml").read_text()
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = [name for name in SERVICES if name != "redis"]
_UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """`15s`, `10m` or `1h` as seconds."""
    return float(text[:-1]) * _UNITS[text[-1]]


def steps(service: str) -> list[tuple[str, str]]:
    """The instructions of a service's inline Dockerfile: (RUN, its words)."""
    lines = SERVICES[service]["build"]["dockerfile_inline"].splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def build(service: str, place: Path) -> Path:
    """Do what the Dockerfile does with files and pip, and return the directory of the programs that it installs.

    The packages of other people are taken from this interpreter, so nothing is downloaded.
    """
    source, image = place / "src", place / "image"
    for word, rest in steps(service):
        if word == "COPY":
            *files, target = rest.split()
            for file in files:
                (source / target).mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-R", *_copied(file), source / target], check=True, cwd=TOP)
    venv.create(image, with_pip=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(image), "platbase": str(image)})
    Path(packages, "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environ = {
        "PATH": f"{image / 'bin'}:{os.environ['PATH']}",
        "HOME": str(place),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    for word, rest in steps(service):
        if word == "RUN" and rest.startswith("pip install"):
            own = f"{rest} --no-deps --no-build-isolation"
            subprocess.run(["sh", "-c", own], check=True, cwd=source, env=environ, capture_output=True)
    return image / "bin"


def _copied(file: str) -> list[str]:
    """A file, or what is in a directory."""
    return [f"{file}/."] if (TOP / file).is_dir() else [file]


class Composed:
    """The services as processes. Use as a context: what still runs at its end is killed."""

    def __init__(self, programs: Path, place: Path) -> None:
        self.place, self._programs = place, programs
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._port = str(free_port())
        self.workspaces = place / "workspaces"
        self._instead = {"//redis:6379": f"//127.0.0.1:{self._port}", "/workspaces": str(self.workspaces)}
        for name, config in FILE["configs"].items():
            (place / name).write_text(config["content"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def start(self, name: str) -> None:
        """Start a service, and wait until its own health check is content with it."""
        service = SERVICES[name]
        command = self._here(name, service["command"])
        if name == "redis":
            data = self.place / "data"
            data.mkdir()
            command += ["--port", self._port, "--bind", "127.0.0.1", "--dir", str(data)]
        with (self.place / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=self.place, env=self._environ(name), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        process, patience = self.processes[name], seconds(service["healthcheck"]["start_period"])
        wait_until_sync(lambda: process.poll() is not None or self.healthy(name), f"{name} is well", patience)
        assert process.poll() is None, self.said(name)

    def healthy(self, name: str) -> bool:
        """What the service's own health check says; one that takes too long says no."""
        check = SERVICES[name]["healthcheck"]
        kind, *words = self._here(name, check["test"])
        command = ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words
        if name == "redis":
            command[1:1] = ["-p", self._port]
        try:
            return self._ran(name, command, seconds(check["timeout"])).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def run(self, name: str, *command: str) -> str:
        """`docker compose exec`: what a command prints that runs beside a service. It must succeed."""
        ran = self._ran(name, self._here(name, list(command)))
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def signal(self, name: str) -> None:
        """Ask a service to stop, as compose does first."""
        self.processes[name].send_signal(signal.SIGTERM)

    def ended(self, name: str) -> int:
        """Wait for a service's end within its grace, and at most 20 s; its exit code."""
        return self.processes[name].wait(min(seconds(SERVICES[name]["stop_grace_period"]), 20))

    def said(self, name: str) -> str:
        return (self.place / f"{name}.log").read_text()

    def _ran(self, name: str, command: list[str], timeout: float = 30) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            env=self._environ(name),
            cwd=self.place,
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
        )

    def _here(self, name: str, words: list[str]) -> list[str]:
        """A command with the paths and addresses of this machine."""
        instead = dict(self._instead)
        for config in SERVICES[name].get("configs", []):
            instead[config["target"]] = str(self.place / config["source"])
        pattern = re.compile("|".join(map(re.escape, instead)))
        return [pattern.sub(lambda hit: instead[hit[0]], word) for word in words]

    def _environ(self, name: str) -> dict[str, str]:
        """What the service's environment is, and nothing of ours but the way to the programs."""
        given = SERVICES[name].get("environment", {})
        values = self._here(name, list(given.values()))
        path = f"{self._programs}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.place), "LANG": "C.UTF-8", **dict(zip(given, values, strict=True))}
