"""REDIS_URL: which forms there are, and how one is shown without its password.

No message shows a part of the URL behind the scheme: a password that is not percent-encoded may stand in any of them.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from coordinator.problems import guess
from coordinator.words import shown, wrong

SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel")
_EXAMPLES: Final = {
    "redis": "redis://localhost:6379/0",
    "rediss": "rediss://user:password@host:6379/0",
    "unix": "unix:///run/redis.sock",
    "redis+sentinel": "redis+sentinel://h1:26379,h2:26379/master/0",
}
#: What may stand behind the '?', and what its value looks like.
_OPTIONS: Final = {
    **dict.fromkeys(("username", "password", "client_name", "lib_name", "lib_version"), (r".*", "a text")),
    **dict.fromkeys(("ssl_password", "ssl_ciphers", "ssl_ca_data"), (r".*", "a text")),
    **dict.fromkeys(("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"), (r".+", "a path")),
    **dict.fromkeys(("socket_timeout", "socket_connect_timeout"), (r"[0-9]*\.?[0-9]+", "seconds, like 2.5")),
    **dict.fromkeys(("health_check_interval", "max_connections", "socket_read_size"), (r"[0-9]{1,9}", "a number")),
    **dict.fromkeys(
        ("socket_keepalive", "retry_on_timeout", "ssl_check_hostname"),
        (r"(?i:y(es)?|no?|true|t|false|f|[01])", "yes or no"),
    ),
    "db": (r"[0-9]{1,4}", "a number"),
    "protocol": (r"[23]", "2 or 3"),
    "ssl_cert_reqs": (r"none|optional|required", "none, optional or required"),
    "ssl_min_version": (r"77[0-2]", "771 for TLS 1.2, or 772 for 1.3"),
}
_READ_WAITS: Final = 2.5  # seconds: who waits for the next fact has the server wait for 2
_QUERY_PASSWORD: Final = re.compile(r"([?&](?:ssl_)?password=)[^&#]*")


def check(url: str) -> str:
    """`url` itself; a wrong one raises a ValueError that says which part is wrong."""
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in SCHEMES:
        near = guess(scheme, SCHEMES) if mark else ""
        got = f"{shown(scheme)}://" if mark else "no '://'"
        fix = near or f"write it like {_EXAMPLES['redis']}"
        raise wrong(f"must begin with {', '.join(f'{name}://' for name in SCHEMES)}, got {got}", fix)
    parts = {"redis": _server, "rediss": _server, "unix": _unix, "redis+sentinel": _sentinel}
    if problem := _unsafe(url) or parts[scheme](rest):
        raise wrong(problem, f"write it like {_EXAMPLES[scheme]}")
    if scheme != "redis+sentinel" and (said := _strange_option(scheme, urlsplit(url).query)):
        raise wrong(*said)
    return url


def without_password(url: str) -> str:
    """`url` with its password replaced by `***`."""
    scheme, mark, rest = url.partition("://")
    place = _place(rest)
    login, at, servers = place.rpartition("@")
    user, colon, _ = login.partition(":")
    rest = _QUERY_PASSWORD.sub(r"\1***", rest[len(place) :])
    return f"{scheme}{mark}{user}{':***' if colon else ''}{at}{servers}{rest}"


def _place(rest: str) -> str:
    return re.split(r"[/?#]", rest, maxsplit=1)[0]


def _unsafe(url: str) -> str:
    if re.search(r"[\x00-\x20\x7f]", url):
        return "must not hold spaces or control characters"
    rest = url.partition("://")[2]
    if "@" in rest[len(_place(rest)) :]:
        return "has an '@' behind the host; in a password / ? # @ are written %2F %3F %23 %40"
    return ""


def _server(rest: str) -> str:
    try:
        parts = urlsplit(f"redis://{rest}")
        wrong_port = parts.port == 0
    except ValueError:
        wrong_port = True
    if wrong_port:
        return "has a host or port that can not be read"
    return _database(parts.path.removeprefix("/"))


def _strange_option(scheme: str, query: str) -> tuple[str, str] | None:
    """What is wrong behind the '?', and its mend. An option that there is not may be a part of a password."""
    foreign = {"rediss": (), "redis": ("ssl_",), "unix": ("ssl_", "socket_keepalive")}[scheme]
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            known = sorted(one for one in _OPTIONS if not one.startswith(foreign))
            mend = guess(name, known) or f"there are {', '.join(known)}"
            return "has an option behind the '?' that there is not", mend
        if name.startswith(foreign):
            return f"has {name}, which is not for {scheme}://", f"write it like {_EXAMPLES['rediss']}"
        shape, kind = _OPTIONS[name]
        if not re.fullmatch(shape, value):
            return f"has a value of {name} that can not be read", f"write {kind}"
        if name == "socket_timeout" and float(value) < _READ_WAITS:
            return "has a socket_timeout that is shorter than a read waits", f"write {_READ_WAITS} or more"
    return None


def _unix(rest: str) -> str:
    place = _place(rest)
    path = rest[len(place) :].partition("?")[0]
    return "" if place[-1:] in {"", "@"} and path.strip("/") else "names no socket by an absolute path"


def _sentinel(rest: str) -> str:
    place = _place(rest)
    for at, server in enumerate(place.rpartition("@")[2].split(","), start=1):
        host, _, port = server.rpartition(":")
        if not host or not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
            return f"has a sentinel (number {at}) that is not host:port"
    if "?" in rest:
        return "takes nothing behind a '?', so no TLS"
    master, _, database = rest[len(place) :].removeprefix("/").partition("/")
    return _database(database) if master else "names no master"


def _database(text: str) -> str:
    return "" if re.fullmatch(r"[0-9]{0,4}", text) else "has a database that is not a number"
