"""The environment: where Redis, agents.yaml and the workspaces are; every mistake under its variable's name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.config.redis_url import without_password
from coordinator.config.settings import Settings
from coordinator.doors.redis_cli import line
from coordinator.errors import ConfigError, Problem

HOME = {"HOME": "/home/ann"}


def settings(**environ: str) -> Settings:
    return Settings.from_environ(HOME | environ)


def problems(**environ: str) -> dict[str, Problem]:
    with pytest.raises(ConfigError) as caught:
        settings(**environ)
    return {problem.field: problem for problem in caught.value.problems}


@pytest.mark.reference(43, "T70", "T73")
def test_an_empty_environment_has_defaults() -> None:
    found = settings(
        REDIS_URL="", DISPATCH_NAMESPACE=" ", DISPATCH_CONFIG="", CORE_WORKSPACE="", CORE_AGENT_DISPATCH=""
    )
    assert found == settings()
    assert found.redis_url is None
    assert found.root == "{dispatch}"
    assert not found.thawed
    assert found.workspace_root() == Path("/home/ann/Code/.core/workspace")
    assert found.config_file() == (Path("/home/ann/Code/.core/agents.yaml"), False)


def test_without_a_home_in_the_environment_the_users_own_counts() -> None:
    assert Settings.from_environ({}).workspace_root() == Path.home() / "Code/.core/workspace"


def test_every_problem_is_named_at_once_and_settings_do_not_change() -> None:
    assert set(problems(REDIS_URL="http://x", DISPATCH_NAMESPACE="a b", CORE_WORKSPACE="here")) == {
        *("REDIS_URL", "DISPATCH_NAMESPACE", "CORE_WORKSPACE")
    }
    with pytest.raises(ValueError, match="frozen"):
        settings().namespace = "other"  # type: ignore[misc]


@pytest.mark.parametrize("given", ["fleet-1", "{fleet-1}"])
def test_a_namespace_comes_with_or_without_braces(given: str) -> None:
    assert settings(DISPATCH_NAMESPACE=given).root == "{fleet-1}"


@pytest.mark.parametrize("given", ["{a", "a}", "{}", "{{a}}", "a:b", "-a", "x" * 65, "é"])
def test_a_namespace_that_would_split_keys_is_refused(given: str) -> None:
    assert problems(DISPATCH_NAMESPACE=given)["DISPATCH_NAMESPACE"].fix == "write it like dispatch"


@pytest.mark.reference(6)
@pytest.mark.parametrize(("given", "thawed"), [("1", True), ("true", False), ("0", False), ("", False), (" 1", False)])
def test_only_exactly_1_thaws(given: str, thawed: bool) -> None:
    assert settings(CORE_AGENT_DISPATCH=given).thawed is thawed


# Paths.


@pytest.mark.reference(43, "T69", "T71", "T72", "T74")
def test_the_root_is_the_option_then_the_file_then_the_core_directory() -> None:
    found = settings(CORE_WORKSPACE="/srv/kör")
    assert found.workspace_root() == Path("/srv/kör/workspace")
    assert found.workspace_root(file="~/ws") == Path("/home/ann/ws")
    assert found.workspace_root("/a", "/b") == Path("/a")


def test_the_config_is_the_option_then_the_variable_then_the_core_directory() -> None:
    assert settings(CORE_WORKSPACE="/srv").config_file() == (Path("/srv/agents.yaml"), False)
    named = settings(CORE_WORKSPACE="/srv", DISPATCH_CONFIG="~/a.yaml")
    assert named.config_file() == (Path("/home/ann/a.yaml"), True)
    assert named.config_file("/b.yaml") == (Path("/b.yaml"), True)


@pytest.mark.reference(43)
def test_nothing_comes_to_mean_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for option in ("", " "):
        with pytest.raises(ConfigError, match="--root: is empty"):
            settings().workspace_root(option)
        with pytest.raises(ConfigError, match="--config: is empty"):
            settings().config_file(option)
    assert not settings().workspace_root(file="").is_relative_to(tmp_path)
    assert "CORE_WORKSPACE" in problems(CORE_WORKSPACE=".")
    assert settings().workspace_root("ws") == tmp_path / "ws"


# REDIS_URL.


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6379/0",
        "redis://ann:pa%2Fss@h:6379/15?protocol=3",
        "rediss://[::1]:6380",
        "unix:///run/redis.sock?db=1",
        "unix://ann:secret@/run/redis.sock",
        "rediss://h:6379/0?ssl_ca_certs=/a/ca.pem&ssl_certfile=/b&ssl_keyfile=/c&socket_timeout=2.5",
        "redis+sentinel://h1:26379,h2:26379/master/0",
        "redis+sentinel://:secret@[::1]:26379/master",
        " redis://localhost ",
    ],
)
def test_a_url_of_every_form_is_accepted(url: str) -> None:
    assert settings(REDIS_URL=url).redis_url == url.strip()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:6379", "got no '://'"),
        ("redi://h", "got 'redi'://; did you mean redis?"),
        ("http://h", "got 'http'://; write it like redis://localhost:6379/0"),
        ("redis://h:port", "a host or port that can not be read"),
        ("redis://h:0", "a host or port that can not be read"),
        ("redis://h:65536", "a host or port that can not be read"),
        ("redis://[::1", "a host or port that can not be read"),
        ("redis://h/zero", "a database that is not a number"),
        ("redis://h/0\n1", "control characters"),
        ("rediss://h/0?ssl_ca_cert=/etc/ca.pem", "there is not; did you mean ssl_ca_certs?"),
        ("redis://h/0?colour=red", "there is not; there are client_name, db,"),
        (
            "redis://h/0?ssl_ca_certs=/etc/ca.pem",
            "has ssl_ca_certs, which is not for redis://; write it like rediss://",
        ),
        ("redis://h/0?socket_timeout=abc", "a value of socket_timeout that can not be read; write seconds, like 2.5"),
        ("redis://h/0?socket_timeout=1", "a socket_timeout that is shorter than a read waits; write 2.5 or more"),
        ("unix:///run/r.sock?db=-1", "a value of db that can not be read"),
        ("unix://", "no socket by an absolute path"),
        ("unix://run/redis.sock", "no socket by an absolute path"),
        ("redis+sentinel://h1:26379", "names no master"),
        ("redis+sentinel://h1/master", "a sentinel (number 1) that is not host:port"),
        ("redis+sentinel://h1:1,/master", "a sentinel (number 2) that is not host:port"),
        ("redis+sentinel://h1:1/master/x", "a database that is not a number"),
        ("redis+sentinel://h1:1/master/0?ssl_ca_certs=/a", "takes nothing behind a '?', so no TLS"),
    ],
)
def test_a_wrong_url_is_named_with_its_mend(url: str, said: str) -> None:
    assert said in str(problems(REDIS_URL=url)["REDIS_URL"])


@pytest.mark.parametrize("scheme", ["redis", "rediss", "unix", "redis+sentinel"])
@given(before=st.text(), secret=st.text("0123456789", min_size=12, max_size=14), after=st.text())
def test_a_password_is_never_shown(scheme: str, before: str, secret: str, after: str) -> None:
    # Whatever stands around it: if the URL is accepted its password is hidden, and else no message shows it.
    url = f"{scheme}://ann:{before}{secret}{after}@h:6379/0"
    try:
        found = Settings.from_environ({"REDIS_URL": url})
        assert secret not in found.shown_url
        assert secret not in repr(found)
    except ConfigError as error:
        refused = str(error)
    else:
        refused = ""
    assert secret not in refused


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://queue:6379/0", "-h queue -p 6379"),
        ("redis://queue:6379/2", "-h queue -p 6379 -n 2"),
        ("redis://queue:6379/2?db=3", "-h queue -p 6379 -n 3"),
        ("redis://queue?db=0", "-h queue -p 6379"),
        ("unix:///run/r.sock?db=2", "-s /run/r.sock -n 2"),
        ("rediss://ann:secret@h/1?ssl_ca_certs=/ca", "-h h -p 6379 -n 1 --tls --cacert /ca --user ann --askpass"),
    ],
)
def test_the_line_for_people_reaches_the_same_database(url: str, words: str) -> None:
    assert line(settings(REDIS_URL=url).redis_url or "") == f"redis-cli {words}"


def test_a_shown_url_keeps_all_but_the_password() -> None:
    assert without_password("redis://ann:secret@h:6379/0?a=1") == "redis://ann:***@h:6379/0?a=1"
    assert without_password("redis://h:6379") == "redis://h:6379"
    assert without_password("unix:///run/r.sock?password=secret&db=1") == "unix:///run/r.sock?password=***&db=1"
    assert settings().shown_url == ""
