"""rediss://: a server that is known by its CA, one that is not, and one that wants to know its clients."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from coordinator.errors import StoreUnavailable, StoreUnusable
from coordinator.operations import GetStatus, Submit
from coordinator.store import Store
from tests.certificates import Certificates
from tests.cli import UNREACHABLE, Cli
from tests.fleet import ROOT, Fleet
from tests.servers import REDIS, Servers

Secured = Callable[[str], str]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    for name in ("server", "client"):
        made.sign(name)
    return made


@pytest.fixture
def secured(servers: Servers, certificates: Certificates) -> Secured:
    """Starts a server that speaks TLS; `yes` wants certificates of its clients. Answers its URL without a CA."""
    files = [f"--tls-{name}-file {certificates.file(*of)}" for name, of in
             {"cert": ("server", "crt"), "key": ("server", "key"), "ca-cert": ("ca", "crt")}.items()]  # fmt: skip
    ports: dict[str, int] = {}

    def start(clients: str) -> str:
        port = ports.setdefault(clients, _free())
        options = [word for file in files for word in file.split(" ")]
        servers.special(REDIS, *options, "--tls-auth-clients", clients, "--tls-port", str(port))
        return f"rediss://127.0.0.1:{port}/0"

    return start


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def _asked(url: str) -> str:
    """What a question over this URL ends with: nothing, or what is wrong."""
    async with Store.connect(url, ROOT) as store:
        try:
            await store.run(GetStatus())
        except (StoreUnusable, StoreUnavailable) as error:
            return str(error)
    return ""


def _own(certificates: Certificates) -> str:
    """The part of a URL that names the client's certificate."""
    return f"&ssl_certfile={certificates.file('client', 'crt')}&ssl_keyfile={certificates.file('client', 'key')}"


async def test_only_a_server_whose_ca_is_named_is_trusted(secured: Secured, certificates: Certificates) -> None:
    url = secured("no")
    right, other, none, away, name = await asyncio.gather(
        *(
            _asked(one)
            for one in (
                f"{url}?ssl_ca_certs={certificates.file('ca', 'crt')}",
                f"{url}?ssl_ca_certs={certificates.file('other', 'crt')}",
                url,
                f"{url}?ssl_ca_certs=/nowhere/ca.pem",
                f"{url.replace('127.0.0.1', 'localhost')}?ssl_ca_certs={certificates.file('ca', 'crt')}",
            )
        )
    )
    assert right == ""
    for said in (other, none, name):
        assert "shows a certificate that is not trusted" in said
        assert "name the file of its CA in REDIS_URL, rediss://HOST:6379/0?ssl_ca_certs=/path/ca.pem" in said
    assert "Hostname mismatch" in name
    assert away.startswith("a file that REDIS_URL names is not there or can not be read: ")


async def test_a_client_without_a_certificate_is_told_how_to_name_one(
    secured: Secured, certificates: Certificates
) -> None:
    url = f"{secured('yes')}?ssl_ca_certs={certificates.file('ca', 'crt')}"
    without, known = await asyncio.gather(_asked(url), _asked(url + _own(certificates)))
    assert "wants a certificate of its clients" in without
    assert "&ssl_certfile=/path/me.crt&ssl_keyfile=/path/me.key" in without
    assert known == ""


async def test_it_is_told_also_where_the_server_hangs_up_before_its_reason_is_read(certificates: Certificates) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_once = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        writer.transport.abort()

    secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    secure.load_cert_chain(certificates.file("server", "crt"), certificates.file("server", "key"))
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=secure) as server:
        url = f"rediss://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        trusted = f"{url}?ssl_ca_certs={certificates.file('ca', 'crt')}"
        without, known = await asyncio.gather(_asked(trusted), _asked(trusted + _own(certificates)))
    for said in (without, known):
        assert "can not be reached" in said
    assert "Where it wants a certificate of its clients" in without
    assert "wants a certificate" not in known


async def test_a_whole_fleet_works_over_tls(secured: Secured, certificates: Certificates, tmp_path: Path) -> None:
    url = f"{secured('no')}?ssl_ca_certs={certificates.file('ca', 'crt')}"
    async with Fleet(url, tmp_path, {"codex": 1}) as fleet:
        await fleet.begin(1)
        await fleet.heard()
        await fleet.store.run(Submit(workspace="a/1", agent="codex", task="0"))
        await fleet.becomes("a/1", "completed")


def test_the_commands_show_how_redis_cli_reaches_it_and_hide_the_key_s_password(
    secured: Secured, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, ca = secured("no"), certificates.file("ca", "crt")
    cli = Cli(f"{url}?ssl_ca_certs={ca}", tmp_path, monkeypatch)
    port = url.rpartition(":")[2].removesuffix("/0")
    assert cli.json("status")["redis_cli"] == f"redis-cli -h 127.0.0.1 -p {port} --tls --cacert {ca}"
    monkeypatch.setenv("REDIS_URL", f"{url}?ssl_password=s3cr3t-word")
    said = cli.wrong("status", code=UNREACHABLE)
    assert "not trusted" in said
    assert "s3cr3t-word" not in said
