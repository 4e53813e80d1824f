"""init and library: a first agents.yaml, and the function library for other hands."""

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from coordinator import library as built
from coordinator.config.settings import Settings
from coordinator.config.starter import PROGRAMS, starter
from coordinator.doors.failing import bad_input, refused
from coordinator.doors.options import SETTLE, Config, Json, command
from coordinator.doors.printing import emit, say


def add(app: typer.Typer) -> None:
    """Register them."""
    command(app, SETTLE, "coordinator init")(init)
    command(app, SETTLE, "coordinator library | redis-cli -x FUNCTION LOAD REPLACE")(library)


def init(
    config: Config = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    json: Json = False,
) -> None:
    """Write an agents.yaml for the agent programs found on this machine's PATH."""
    path, _ = Settings.from_environ(os.environ).config_file(config)
    found = [program for program in PROGRAMS if shutil.which(program)]
    _write(path, starter(found), force=force)
    if json:
        return emit({"outcome": "written", "file": str(path), "found": found})
    say(f"wrote {path}: {', '.join(found) or 'no agent program is on PATH, so it holds only examples'}")
    return say("next: look at it, then coordinator up")


def library(json: Json = False) -> None:
    """Print the Redis function library that holds every rule."""
    if json:
        return emit({"outcome": "library", "lib": built.LIB, "text": built.TEXT})
    sys.stdout.write(built.TEXT)
    return None


def _write(path: Path, text: str, *, force: bool) -> None:
    try:
        with contextlib.suppress(FileExistsError):  # something that is no directory: opening the file will say so
            path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise refused(f"{path} is there already: --force writes over it") from None
    except OSError as error:
        raise bad_input(f"{path} can not be written: {error.strerror}") from None
