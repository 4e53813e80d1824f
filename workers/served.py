"""Which agents this host can start."""

import logging
import shutil
from pathlib import Path

from coordinator import ConfigError, Fleet, Problem, Runner
from workers.agents.builtin import COMMANDS

log = logging.getLogger(__name__)


def served(known: Fleet, file: Path) -> dict[str, Runner]:
    """The runners of `file`; where it names none, the adapters of the known programs on PATH.

    A file written for the reference runner names none: that has its programs built in. ConfigError when there are none.
    """
    if known.runners:
        return known.runners
    found = [program for program in COMMANDS if shutil.which(program)]
    if not found:
        problem = f"names no runners, and none of {', '.join(COMMANDS)} is on PATH: this host could run nothing"
        raise ConfigError([Problem(str(file), problem, "write one with `coordinator init`, or give --config")])
    log.info("%s names no runners: %s are started by their adapters", file, ", ".join(found))
    return {program: Runner(adapter=program).within(known.dispatch.timeout()) for program in found}
