"""config show: what is in force, and what a file would change about it."""

import json

import pytest
from redis import Redis

from tests.cli import BAD_INPUT, UNREACHABLE, Cli

FILE = """\
version: 1
dispatch: {default_agent: codex, lease_ttl: 2m, history: 90d}
concurrency: {codex: {total: 5, gpt-5.4: 1}, claude: -1}
rates: {codex: {min_delay: 30, sustained_delay: 90, reset_utc: "6"}}
accounts: {codex: [work, home]}
runners: {codex: {command: [sh, -c, 'true']}, claude: {command: [cat]}}
agents: {ana: {host: h1, runner: codex, active: true, roles: [worker, qa]}}
"""


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_difference_is_shown_and_is_gone_when_it_is_applied(cli: Cli) -> None:
    cli("limits", "claude", "2")
    cli.config.write_text(FILE)
    shown = cli("config", "show", "--diff")
    assert rows(shown.stdout)[:5] == [
        ["path", "in", "force", "in", "the", "file"],
        ["accounts.codex", "-", "home", "work"],
        ["default_agent", "-", "codex"],
        ["limits.claude", "2", "unlimited"],
        ["limits.codex", "unlimited", "5"],
    ]
    assert ["settings.history", "30d", "90d"] in rows(shown.stdout)
    assert ["rates.codex.sustained_delay", "-", "1m30s"] in rows(shown.stdout)
    assert "'6' is taken as" not in shown.stdout
    assert "concurrency.claude: -1 means no limit here" in shown.stderr
    told = cli.json("config", "show", "--diff", str(cli.config))
    assert (told["outcome"], told["file"]) == ("difference", str(cli.config))
    assert {"path": "limits.claude", "in_force": 2} in told["changes"]
    assert cli.json("config", "show")["limits"] == {"claude": 2}
    applied = cli.json("config", "apply")["changes"]
    assert [
        {"path": one["path"]}
        | ({"in_force": one["was"]} if "was" in one else {})
        | ({"in_file": one["now"]} if "now" in one else {})
        for one in applied
    ] == told["changes"]
    assert cli.json("config", "show", "--diff")["changes"] == []
    assert "in force already" in cli.out("config", "show", "--diff")


def test_what_is_in_force_is_shown_with_its_rates_and_the_agents_of_this_host(cli: Cli) -> None:
    cli.config.write_text(FILE)
    cli("config", "apply")
    shown = rows(cli.out("config", "show"))
    assert ["history", "90d"] in shown
    assert ["codex", "06:00", "0", "30s", "1m30s", "0s", "0s"] in shown
    assert ["ana", "h1", "codex", "yes", "worker,", "qa"] in shown
    told = cli.json("config", "show")
    assert ["codex", "home,", "work"] in shown
    assert told["accounts"] == {"codex": ["home", "work"]}
    assert told["rates"]["codex"]["sustained_delay"] == 90_000
    assert told["agents"] == {"ana": {"host": "h1", "runner": "codex", "active": True, "roles": ["worker", "qa"]}}
    cli.config.write_text("version: 1")
    assert "agents" not in rows(cli.out("config", "show"))[0]
    assert cli.json("config", "show")["agents"] == {}
    cli("config", "apply")
    assert cli.json("config", "show")["rates"] == {}
    assert cli.json("config", "show")["accounts"] == {}
    assert ["codex", "06:00"] not in [row[:2] for row in rows(cli.out("config", "show"))]


@pytest.mark.reference(54, "W22", "T64")
def test_a_broken_file_changes_nothing_and_all_that_is_wrong_with_it_is_said(cli: Cli) -> None:
    cli.config.write_text(FILE)
    cli("config", "apply")
    before = cli.json("config", "show")
    cli.config.write_text(
        "concurrency: {codex: 9, claude: [1]}\nrates: {codex: {min_delay: soon}}\ndispatch: {beat: 0}\n"
    )
    for words in (("apply",), ("show", "--diff")):
        said = cli("config", *words, code=BAD_INPUT).stderr
        for path in ("concurrency.claude", "rates.codex.min_delay", "dispatch.beat"):
            assert f"{path}: must be" in said
    shown = cli("config", "show", "--json")
    assert json.loads(shown.stdout) == before | {"agents": {}}
    assert "can not be used" in shown.stderr
    assert "concurrency.claude" in cli("config", "show", str(cli.config), code=BAD_INPUT).stderr


def test_a_file_that_is_not_there_is_said(cli: Cli) -> None:
    assert "there is no such file" in cli.wrong("config", "show", "--diff", code=BAD_INPUT)
    assert "there is no such file" in cli.wrong("config", "show", str(cli.place / "x.yaml"), code=BAD_INPUT)
    assert cli.json("config", "show")["agents"] == {}


def test_a_large_file_is_applied_whole_and_its_difference_was_true(cli: Cli) -> None:
    cli("limits", "claude", "2")
    pools = "".join(f"  pool{number}: {{total: {number + 1}, big: 1}}\n" for number in range(60))
    cli.config.write_text("concurrency:\n" + pools)
    shown = [one["path"] for one in cli.json("config", "show", "--diff")["changes"]]
    assert len([path for path in shown if path.startswith("limits.")]) == 121
    told = cli.json("config", "apply")
    assert ([one["path"] for one in told["changes"]], "more" in told) == (shown, False)
    assert cli.json("config", "show", "--diff")["changes"] == []


def test_what_stops_half_way_says_so_and_goes_on_when_it_is_applied_again(cli: Cli) -> None:
    cli.config.write_text("concurrency:\n" + "".join(f"  pool{number}: 1\n" for number in range(60)))
    with Redis.from_url(cli.url) as redis:
        redis.set("{dispatch}:slots:pool9", "by hand")
        said = cli("config", "apply", code=UNREACHABLE).stderr
        assert "slots:pool9" in said
        assert f" changes of {cli.config} are in force, not all" in said
        done = len(cli.json("config", "show")["limits"])
        assert 0 < done < 60
        redis.delete("{dispatch}:slots:pool9")
    assert len(cli.json("config", "apply")["changes"]) == 60 - done
    assert len(cli.json("config", "show")["limits"]) == 60
