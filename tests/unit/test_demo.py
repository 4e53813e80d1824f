"""How a demo counts, and what its agents make of source text."""

import io
import json
from pathlib import Path

import pytest

from coordinator.config import fleet
from coordinator.doors.demo import marks, plans, summary
from coordinator.doors.demo.agents import check, document, index
from coordinator.doors.demo.marks import Run
from coordinator.doors.demo.place import Place
from coordinator.doors.demo.summary import Counted, Summary
from coordinator.doors.demo.tasks import Task, demanded, make_tasks
from coordinator.models import Workspace
from coordinator.words import pool_of

SOURCE = '''\
import os, sys

@print
class Named:
    def bare(self): return 1

    @property
    def wide(self):
        # first a remark
        return sys.path  # TODO: less

    def told(self):
        """It is told."""

def outer():
    @print
    def _inner():
        pass
'''
PLAN = plans.programs()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "module.py").write_text(SOURCE)
    return tmp_path


def summed(tmp_path: Path, tasks: list[Task], runs: list[Run], status: str = "completed") -> Summary:
    records = [Workspace(workspace=task.workspace, status=status, host="h1") for task in tasks]
    counted = Counted(
        PLAN, tasks, {task.workspace: 0 for task in tasks}, {task.workspace: 0 for task in tasks}, runs
    )  # fmt: skip
    return summary.sum_up(Place(tmp_path), counted, records, "HEAD", 1.0)


def one_after_the_other(tasks: list[Task]) -> list[Run]:
    return [Run(task.workspace, at * 10, at * 10 + 10) for at, task in enumerate(tasks)]


def test_an_end_and_a_start_at_one_instant_are_not_two_at_once() -> None:
    assert marks.most_at_once([Run("a", 0, 10), Run("b", 10, 20), Run("c", 15, 17)]) == 2


def test_a_run_without_an_end_never_ended() -> None:
    assert marks.most_at_once([Run("a", 0, None), Run("b", 10, 20), Run("c", 30, 40)]) == 2


def test_marks_are_paired_by_workspace_and_process(tmp_path: Path) -> None:
    lines = [("start", "a", 1, 5), ("start", "b", 2, 3), ("end", "b", 2, 9), ("start", "b", 4, 11)]
    told = [json.dumps({"mark": mark, "workspace": name, "pid": pid, "ns": ns}) for mark, name, pid, ns in lines]
    (tmp_path / "marks").write_text("\n".join(told) + "\n")
    assert marks.read(tmp_path / "marks") == [Run("b", 3, 9), Run("a", 5, None), Run("b", 11, None)]


def test_tasks_have_names_of_their_own_and_enough_for_every_limit() -> None:
    tasks = make_tasks(PLAN, 100, ["json", "email"])
    assert len({task.workspace for task in tasks}) == 100
    assert demanded(PLAN, make_tasks(PLAN, 24, ["json"])) == PLAN.limits
    assert demanded(PLAN, make_tasks(PLAN, 6, ["json"])) == {"codex": 1, "codex:gpt-5.4": 1, "claude": 1, "gemini": 1}
    assert demanded(PLAN, [task for task in tasks if task.agent == "codex:gpt-5.4"]) == {
        "codex": 1,
        "codex:gpt-5.4": 1,
    }


def test_a_limit_that_was_exceeded_is_a_problem(tmp_path: Path) -> None:
    tasks = [task for task in make_tasks(PLAN, 24, ["json"]) if task.agent == "gemini"]
    told = summed(tmp_path, tasks, [Run(task.workspace, 0, 10) for task in tasks])
    assert told.problems == ["gemini went over its limit: 4 at once, 1 allowed"]
    assert not told.ok


def test_a_limit_that_was_never_reached_is_a_problem(tmp_path: Path) -> None:
    tasks = [task for task in make_tasks(PLAN, 24, ["json"]) if pool_of(task.agent) == "claude"]
    assert summed(tmp_path, tasks, one_after_the_other(tasks)).problems == [
        "claude was never full: at most 1 at once of 2"
    ]


def test_a_workspace_that_ran_twice_or_never_ended_or_failed_is_a_problem(tmp_path: Path) -> None:
    tasks = [task for task in make_tasks(PLAN, 24, ["json"]) if task.agent == "gemini"][:2]
    first, second = one_after_the_other(tasks)
    assert summed(tmp_path, tasks, [first, second]).ok
    again = Run(first.workspace, 30, 40)
    assert "ran 2 times" in summed(tmp_path, tasks, [first, second, again]).problems[0]
    assert "never marked its end" in summed(tmp_path, tasks, [first, Run(second.workspace, 10, None)]).problems[0]
    assert summed(tmp_path, tasks, [first, second], "failed").problems[0] == f"{first.workspace} is failed"


def test_docstrings_are_added_where_they_are_missing_and_change_no_code(package: Path) -> None:
    assert document.document(package) == "3 docstring stubs in 1 modules"
    text = (package / "module.py").read_text()
    assert '    """To be documented: the class Named."""\n    def bare' in text
    assert '        # first a remark\n        """To be documented: the function wide."""\n' in text
    assert '    """To be documented: the function outer."""\n    @print\n    def _inner' in text
    assert document.document(package) == "0 docstring stubs in 0 modules"


@pytest.mark.parametrize(
    ("source", "stubs"),
    [
        ("x = 1\n\f\ndef f():\n    return 1\n", 1),
        ("class A:\n    def f(self):\n        return '\v\x1c\u2028'\n\n    def g(self):\n        return 1\n", 3),
        ("def f(): \\\n    pass\n", 0),
        ("def f(\n    a,\n):\n\n    # a remark\n    (a,\n     )\n", 1),
        ("class A:\n    @(\n        print\n    )\n    def _f(self): pass\n\nclass B: pass\n", 1),
        ("class A:\n\tdef f(self):\n\t\tif 1:\n\t\t\treturn 2; 3\n", 2),
        ("def f():  # a remark\r\n    return '''a\r\nb'''\r\n", 1),
    ],
    ids=["form feed", "in a string", "continued line", "brackets", "decorator", "tabs", "carriage returns"],
)
def test_docstrings_go_into_source_of_any_shape(tmp_path: Path, source: str, stubs: int) -> None:
    module = tmp_path / "module.py"
    module.write_bytes(source.encode())
    assert document.document(tmp_path) == f"{stubs} docstring stubs in {min(stubs, 1)} modules"
    after = module.read_bytes().decode()
    kept = [line for line in io.StringIO(after, newline="") if "To be documented" not in line]
    assert "".join(kept) == source
    assert after.count("\r\n") == (after.count("\n") if "\r" in source else 0)


def test_checks_find_what_is_there(package: Path) -> None:
    assert check.check(package) == "2 findings in 1 modules"
    text = (package / "CHECKS.md").read_text()
    assert "- line 1: `os` is imported and not used" in text
    assert "- line 10: a note left: TODO" in text


def test_checks_count_lines_as_python_does(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("x = 1\n\f\n# TODO: less\n")
    check.check(tmp_path)
    assert "- line 3: a note left: TODO" in (tmp_path / "CHECKS.md").read_text()


def test_the_index_names_what_the_module_defines(package: Path) -> None:
    assert index.index(package) == "index of 2 names in 1 modules"
    assert "| 4 | class | `Named` | 10 | no |" in (package / "INDEX.md").read_text()


def test_unsound_source_stops_an_agent(package: Path) -> None:
    (package / "module.py").write_text("def f():\n    return '\\d'\n")
    with pytest.raises(SystemExit, match="py_compile"):
        check.check(package)


@pytest.mark.parametrize("minutes", [0, 90])
def test_an_agent_of_the_users_own_keeps_its_times(tmp_path: Path, minutes: int) -> None:
    runner = {"command": ["sh"], "stalled": "15m"}
    settings = {"timeout_minutes": minutes}
    known, _ = fleet.parse(json.dumps({"version": 1, "dispatch": settings, "runners": {"mine": runner}}))
    again, problems = fleet.parse(plans.chosen("mine", known, "agents.yaml").agents_yaml(Place(tmp_path)))
    assert problems == []
    assert (again.runners["mine"].stalled, again.runners["mine"].timeout) == (900_000, minutes * 60_000 or None)
