"""The line a person types to talk to the server behind a REDIS_URL, without its password."""

import shlex
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

_FILES: Final = {"ssl_ca_certs": "--cacert", "ssl_certfile": "--cert", "ssl_keyfile": "--key"}


def _database(parts: SplitResult) -> list[str]:
    by_path = "" if parts.scheme == "unix" else parts.path.strip("/")
    number = parse_qs(parts.query).get("db", [by_path])[0]
    return ["-n", number] if number.strip("0") else []


def line(url: str) -> str:
    """A `redis-cli` command; one that needs a password asks for it."""
    parts = urlsplit(url)
    words = ["redis-cli"]
    if parts.scheme == "unix":
        words += ["-s", unquote(parts.path), *_database(parts)]
    elif parts.scheme == "redis+sentinel":
        host, _, port = parts.netloc.rpartition("@")[2].split(",")[0].rpartition(":")
        master = parts.path.strip("/").partition("/")[0]
        host = host.removeprefix("[").removesuffix("]")
        return shlex.join(["redis-cli", "-h", host, "-p", port, "SENTINEL", "get-master-addr-by-name", master])
    else:
        words += ["-h", parts.hostname or "localhost", "-p", str(parts.port or 6379)]
        words += _database(parts)
        if parts.scheme == "rediss":
            files = parse_qs(parts.query)
            words += ["--tls", *(word for name in _FILES if name in files for word in (_FILES[name], files[name][0]))]
    if parts.password or "password=" in parts.query:
        words += ["--user", unquote(parts.username)] if parts.username else []
        words.append("--askpass")
    return shlex.join(words)
