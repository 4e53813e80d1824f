"""Every form of a limit in agents.yaml, as it is in force after `config apply`."""

import pytest

from tests.cli import BAD_INPUT, Cli

WHOLE = """\
version: 1
dispatch: {default_agent: codex}
concurrency: {claude: 3, codex: {total: 5, gpt-5.4: 1}}
rates: {gemini: {sustained_delay: 120}}
"""


@pytest.mark.reference(53, "T36", "T37")
@pytest.mark.parametrize(
    ("codex", "limits"),
    [
        ("5", {"codex": 5}),
        (
            "{total: 5, gpt-5.4: 1, gpt-5.3-codex-spark: 3}",
            {"codex": 5, "codex:gpt-5.4": 1, "codex:gpt-5.3-codex-spark": 3},
        ),
    ],
)
def test_a_number_or_a_mapping_of_models(cli: Cli, codex: str, limits: dict[str, int]) -> None:
    cli.config.write_text(f"concurrency: {{codex: {codex}}}\n")
    cli("config", "apply")
    assert cli.json("limits")["limits"] == limits


@pytest.mark.reference(55, "T39", "T51")
@pytest.mark.parametrize("codex", ["0", "{total: 0, gpt-5.4: 1}", "{gpt-5.4: 1}"])
def test_a_total_of_0_lets_all_run_and_says_so(thawed: Cli, codex: str) -> None:
    thawed.config.write_text(f"concurrency: {{codex: {codex}}}\n")
    assert "means no limit" in thawed("config", "apply").stderr
    assert thawed.json("limits")["limits"] == {}
    thawed.host(slots=9)
    for number in range(9):
        thawed("dispatch", f"a/{number}", "--agent", "codex:gpt-5.4")
    assert len(thawed.claim()) == 9


@pytest.mark.reference(53, 54, "W22", "T38", "T64")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("concurrency: {codex: [1, 2]}\n", "concurrency.codex: must be a whole number"),
        ("concurrency: {codex: {total: many}}\n", "concurrency.codex.total: must be a whole number"),
        ("concurrency: {codex: 1\n", "agents.yaml"),
        ("{{{", "agents.yaml"),
    ],
)
def test_a_file_with_a_mistake_is_refused_and_what_was_in_force_stays(cli: Cli, text: str, said: str) -> None:
    cli.config.write_text(WHOLE)
    cli("config", "apply")
    cli.config.write_text(text)
    assert said in cli.wrong("config", "apply", code=BAD_INPUT)
    assert cli.json("limits")["limits"] == {"claude": 3, "codex": 5, "codex:gpt-5.4": 1}


@pytest.mark.reference(4, 61, "W23", "T6", "T65")
def test_a_whole_file_is_in_force_in_all_its_parts(thawed: Cli) -> None:
    thawed.config.write_text(WHOLE)
    changes = {change["path"]: change["now"] for change in thawed.json("config", "apply")["changes"]}
    assert changes["rates.gemini.sustained_delay"] == 120_000
    assert thawed.json("limits")["limits"] == {"claude": 3, "codex": 5, "codex:gpt-5.4": 1}
    assert thawed.json("config", "show")["default_agent"] == "codex"
    thawed("dispatch", "a/1")
    assert thawed.json("workspaces")["workspaces"][0]["agent"] == "codex"
