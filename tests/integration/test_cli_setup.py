"""config, init, library, doctor and help."""

import shutil
import subprocess
from pathlib import Path

import pytest

from coordinator import library
from coordinator.doors.cli import door
from coordinator.doors.keys import TYPES, family
from coordinator.operations import Renew
from tests.cli import BAD_INPUT, OK, REFUSED, Cli
from tests.servers import VALKEY, Servers

GOOD = """\
version: 1
dispatch: {default_agent: codex, lease_ttl: 2m}
concurrency: {codex: {total: 5, gpt-5.4: 1}, claude: 0}
rates: {codex: {min_delay: 30, reset_utc: "06:00"}}
runners: {codex: {command: [sh, -c, 'true']}, claude: {command: [cat]}}
"""


@pytest.mark.reference(54, "W22")
def test_check_names_every_problem_with_its_path(cli: Cli) -> None:
    cli.config.write_text('concurrency: {codex: 1.5, "a b": 2}\nrunners: {codex: {command: "sh -c x"}}\n')
    text = cli.out("config", "check", code=BAD_INPUT)
    for start in ("error    concurrency.codex: ", "error    concurrency.a b: ", "error    runners.codex.command: "):
        assert start in text
    assert text.endswith("agents.yaml can not be used: 3 errors, 0 warnings\n")
    found = cli.json("config", "check", code=BAD_INPUT)
    assert found["ok"] is False
    assert len(found["problems"]) == 3


def test_check_of_a_good_file_needs_no_server(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    (tmp_path / "other.yaml").write_text(GOOD)
    assert cli.json("config", "check", str(tmp_path / "other.yaml"))["ok"] is True
    assert "there is no such file" in cli.out("config", "check", code=BAD_INPUT)
    (tmp_path / "other.yaml").write_bytes(b"\xff")
    assert "byte 1 is not UTF-8" in cli.out("config", "check", str(tmp_path / "other.yaml"), code=BAD_INPUT)


@pytest.mark.reference(4)
def test_apply_makes_the_file_true_and_says_what_changed(cli: Cli) -> None:
    cli("limits", "claude", "2")
    cli.config.write_text(GOOD)
    result = cli("config", "apply")
    assert "limits.claude" in result.stdout
    assert ["limits.claude", "2", "unlimited"] in [line.split() for line in result.stdout.splitlines()]
    assert ["settings.lease_ttl", "5m", "2m"] in [line.split() for line in result.stdout.splitlines()]
    assert "concurrency.claude" in result.stderr
    shown = cli.json("config", "show")
    assert shown["limits"] == {"codex": 5, "codex:gpt-5.4": 1}
    assert (shown["settings"]["lease_ttl"], shown["default_agent"]) == (120_000, "codex")
    assert "lease_ttl      2m\n" in cli.out("config", "show")
    assert cli.json("config", "apply")["changes"] == []


@pytest.mark.reference(54, "W22")
def test_a_bad_file_never_replaces_a_good_one(cli: Cli) -> None:
    cli.config.write_text(GOOD)
    cli("config", "apply")
    cli.config.write_text("concurrency: {codex: many}\n")
    assert "concurrency.codex: must be a whole number" in cli.wrong("config", "apply", code=BAD_INPUT)
    assert cli.json("config", "show")["limits"] == {"codex": 5, "codex:gpt-5.4": 1}


def test_init_writes_for_the_programs_found_and_never_over_a_file(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "codex").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(programs))
    assert cli.json("init") == {"outcome": "written", "file": str(cli.config), "found": ["codex"]}
    assert cli.json("config", "check")["ok"] is True
    cli.config.write_text("mine")
    assert "--force writes over it" in cli.wrong("init", code=REFUSED)
    assert cli.config.read_text() == "mine"
    cli("init", "--force")
    assert "adapter: codex" in cli.config.read_text()
    assert "can not be written" in cli.wrong("init", "--config", "/dev/null/x", code=BAD_INPUT)


def test_the_library_can_be_loaded_by_hand(cli: Cli) -> None:
    text = cli.out("library")
    loaded = subprocess.run(
        ["redis-cli", "-s", cli.url[7:], "-x", "FUNCTION", "LOAD", "REPLACE"],
        input=text,
        text=True,
        capture_output=True,
        check=True,
    )
    assert loaded.stdout.strip() == "dispatch"
    assert cli.json("library")["lib"] == library.LIB


def findings(cli: Cli, code: int = OK) -> list[tuple[str, str, str, str]]:
    found = cli.json("doctor", code=code)["findings"]
    return [(one["what"], one["state"], one["text"], one["fix"]) for one in found]


def test_doctor_of_a_fleet_that_is_well(thawed: Cli) -> None:
    thawed.host()
    thawed.config.write_text(GOOD)
    found = findings(thawed)
    assert {what for what, *_ in found} >= {
        "server",
        "memory",
        "library",
        "namespace",
        "keys",
        "slots",
        "hosts",
        "program",
    }
    assert "wrong" not in {state for _, state, *_ in found}
    assert ("hosts", "ok", "h1 is live, 0/4 slots", "") in found
    assert ("program", "ok", f"claude: {shutil.which('cat')}", "") in found
    assert thawed.out("doctor").endswith("all is well\n")
    thawed.do(Renew(host="h1", incarnation="h1-1", trouble="the disk is full"))
    assert ("hosts", "note", "h1 takes no work: the disk is full", "give it room") in findings(thawed)


@pytest.mark.parametrize(
    ("key", "kind"), [("limits", "hash"), ("control", "hash"), ("slots:codex", "set"), ("events", "stream")]
)
def test_doctor_finds_a_key_of_the_wrong_type_and_its_mend_works(thawed: Cli, key: str, kind: str) -> None:
    thawed.host()
    server = ["redis-cli", "-s", thawed.url[7:]]
    subprocess.check_output([*server, "DEL", f"{{dispatch}}:{key}"])
    subprocess.check_output([*server, "SET", f"{{dispatch}}:{key}", "x"])
    (found,) = [one for one in findings(thawed, code=REFUSED) if one[0] == "keys" and one[1] == "wrong"]
    assert found[2] == f"{{dispatch}}:{key} is a string and must be a {kind}"
    command = found[3].removeprefix("put it aside: ").partition(";")[0]
    subprocess.check_output(f"redis-cli -s {thawed.url[7:]} {command}", shell=True)
    assert [one for one in findings(thawed) if one[1] == "wrong"] == []
    assert thawed.json("dispatch", "a/1", "--agent", "codex")["outcome"] == "queued"


def test_doctor_names_what_nobody_reads_and_programs_that_are_missing(thawed: Cli) -> None:
    subprocess.check_output(["redis-cli", "-s", thawed.url[7:], "SET", "{dispatch}:mine", "x"])
    thawed.config.write_text("runners: {codex: {command: [no-such-program]}}\n")
    found = findings(thawed, code=REFUSED)
    assert ("keys", "note", "nobody reads {dispatch}:mine", "") in found
    assert any(one[:2] == ("program", "wrong") and "no-such-program is not on PATH" in one[2] for one in found)


def test_doctor_names_broken_configuration_and_slots_changed_by_hand(thawed: Cli) -> None:
    thawed.config.write_text("concurrency: [1]\n")
    subprocess.check_output(["redis-cli", "-s", thawed.url[7:], "SADD", "{dispatch}:slots:*", "ghost"])
    found = findings(thawed, code=REFUSED)
    assert any(one[:2] == ("agents.yaml", "wrong") for one in found)
    assert any(one[:2] == ("slots", "wrong") and "1 are held and 0 run" in one[2] for one in found)


def test_doctor_names_a_server_that_would_drop_work(
    cli: Cli, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = servers.fresh_url(VALKEY)
    monkeypatch.setenv("REDIS_URL", url)
    server = ["redis-cli", "-s", url[7:], "CONFIG", "SET"]
    try:
        subprocess.check_output([*server, "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru"])
        found = findings(cli, code=REFUSED)
    finally:
        subprocess.check_output([*server, "maxmemory", "0", "maxmemory-policy", "noeviction"])
    assert any(one[:2] == ("memory", "wrong") and "allkeys-lru" in one[2] for one in found)
    assert any(one[0] == "server" and one[2].startswith("Valkey ") for one in found)


def test_every_key_the_library_writes_is_known_to_doctor() -> None:
    used = {part.split("'")[0] for part in library.TEXT.split("base.key('")[1:]} - {"bus", "poke", "nothing"}
    families = {name.removesuffix(":*") for name in TYPES}
    assert used <= families
    assert family("{dispatch}", "{dispatch}:slots:*") == "slots:*"


def test_help_begins_with_three_commands_and_teaches_each(cli: Cli) -> None:
    text = cli.out("--help")
    for first in ("coordinator init", "coordinator up", "coordinator dispatch --task"):
        assert first in text
    app = door()
    groups = [("", app), *((group.name or "", group.typer_instance) for group in app.registered_groups)]
    for group, found in groups:
        for each in found.registered_commands if found else ():
            name = each.name or (each.callback.__name__ if each.callback else "")
            words = [group, name] if group else [name]
            said = cli.out(*words, "--help")
            assert f"coordinator {' '.join(words)}" in said.partition("example:  ")[2], name


def test_a_mistyped_word_gets_a_guess_in_one_line(cli: Cli) -> None:
    said = cli.wrong("limts", code=BAD_INPUT)
    assert said == "coordinator: no such command 'limts' (did you mean 'limits'?); see coordinator --help"
    assert "--agnt" in cli.wrong("dispatch", "--agnt", "x", code=BAD_INPUT)
    assert "WORKSPACE" in cli.wrong("why", code=BAD_INPUT)
