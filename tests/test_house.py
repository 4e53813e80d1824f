"""The rules of this house: what holds for every file, whoever adds the next one."""

import ast
import importlib
import importlib.metadata
import inspect
import os
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

import pytest
from redis.asyncio import Redis

import coordinator
from coordinator import Operation, errors, fleet, library, operations
from tests.readme import command

TOP = Path(__file__).parent.parent
TOP_LEVEL = {
    "pyproject.toml", "coordinator", "workers", "tests", "docs", "docker-compose.yml", "README.md", "CHANGELOG.md",
    "requirements.lock",
}  # fmt: skip
VALUES, STORE, LOOPS, WORKERS, DOORS = range(5)
#: Imports go down only. What is named nowhere here holds values: no server, no process, no loop.
FLOORS = {
    "coordinator": LOOPS,  # the public face; nothing below it in the package looks at it
    "coordinator.doors": DOORS,
    "coordinator.__main__": DOORS,
    "workers": WORKERS,
    **dict.fromkeys(("coordinator.replica", "coordinator.steady"), LOOPS),
    **dict.fromkeys(("coordinator.store", "coordinator.embedded", "coordinator.actions"), STORE),
    **dict.fromkeys((f"coordinator.{name}" for name in sorted(library.WORDS.values())), VALUES),
}
BANNED = re.compile(
    r"(?<![A-Za-z])(bots?|jobs?|permits?|nonces?|cordon(ed)?|heartbeats?|acks?|acked|throttle)(?![a-z])", re.IGNORECASE
)
LEFT_TO_DO = re.compile(r"(#|--)\s*(TODO|FIXME|XXX|HACK)\b")
LOCAL_PATH = re.compile(r"(?<![\w.~])/(work|root|Users)/\w")
LONGEST = {"tests": 400, "coordinator": 250, "workers": 250}


def tracked(*endings: str) -> list[Path]:
    """The files of the repository, new ones too, those that git ignores not."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, text=True, capture_output=True, check=True
    )
    paths = [TOP / name for name in sorted(set(listed.stdout.splitlines()))]
    return [path for path in paths if path.is_file() and (not endings or path.suffix in endings)]


def below(*folders: str, endings: tuple[str, ...] = (".py",)) -> list[Path]:
    return [path for path in tracked(*endings) if path.relative_to(TOP).parts[0] in folders]


def where(path: Path) -> str:
    return str(path.relative_to(TOP))


def found(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """`file:line: text` of every match."""
    return [
        f"{where(path)}:{number}: {line.strip()[:100]}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def module(path: Path) -> str:
    name = ".".join(path.relative_to(TOP).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Each import as (module, name); the name is empty where the module itself is imported."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = TOP.joinpath(*node.module.split("."), alias.name)
                is_module = inner.with_suffix(".py").exists() or inner.is_dir()
                yield (f"{node.module}.{alias.name}", "") if is_module else (node.module, alias.name)


def is_verb(one: object) -> TypeGuard[type[Operation[Any]]]:
    return inspect.isclass(one) and issubclass(one, Operation)


def floor(name: str) -> int:
    """The floor of a module: its own, else that of the nearest package that has one; the face's is its own alone."""
    if name == "coordinator":
        return FLOORS[name]
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        known = ".".join(parts[:end])
        if known in FLOORS and known != "coordinator":
            return FLOORS[known]
    return VALUES


def test_every_verb_is_a_pair_of_twin_files_and_stands_in_the_catalogue() -> None:
    scripts = {path.stem for path in library.FOLDER.glob("[a-z]*.lua")}
    values = {path.stem for path in library.FOLDER.glob("[a-z]*.py")}
    assert scripts == values
    named = {verb.name for _, verb in inspect.getmembers(operations, is_verb)}
    assert named == scripts


def test_every_file_of_shared_words_is_in_the_library() -> None:
    assert {path.stem for path in library.FOLDER.glob("_*.lua")} == set(library.WORDS)


@pytest.mark.reference(5)
async def test_the_library_loads_and_offers_every_verb(server_url: str, raw: Redis) -> None:
    await raw.function_load(library.TEXT)
    [row] = await raw.function_list(library="dispatch")
    listed = dict(zip(row[::2], row[1::2], strict=True))
    functions = [dict(zip(one[::2], one[1::2], strict=True)) for one in listed["functions"]]
    assert {one["name"] for one in functions} == {f"dispatch_{verb}" for verb in library.VERBS}


def test_imports_go_down_only() -> None:
    wrong = [
        f"{where(path)} imports {name}"
        for path in below("coordinator", "workers")
        for name, _ in imports(path)
        if module(path) != "coordinator"
        and name.split(".")[0] in {"coordinator", "workers", "tests"}
        and (name.split(".")[0] == "tests" or floor(name) > floor(module(path)))
    ]
    assert wrong == []


def test_workers_use_only_what_the_coordinator_exports() -> None:
    wrong = []
    for path in below("workers"):
        for name, what in imports(path):
            if name.split(".")[0] != "coordinator":
                continue
            public = what or name.rpartition(".")[2]
            exported = getattr(coordinator, public, None) if public in coordinator.__all__ else None
            held = getattr(importlib.import_module(name), what) if what else importlib.import_module(name)
            if exported is not held:
                wrong.append(f"{where(path)}: {name} {what}")
    assert wrong == []


def test_only_the_store_imports_redis() -> None:
    users = {
        module(path)
        for path in below("coordinator", "workers")
        for name, _ in imports(path)
        if name.split(".")[0] in {"redis", "hiredis", "valkey"}
    }
    assert {name.rpartition(".")[0] for name in users} == {"coordinator.store"}


def test_the_keeper_is_plain_python() -> None:
    keeper = TOP / "coordinator" / "embedded" / "keeper.py"
    assert {name.split(".")[0] for name, _ in imports(keeper)} <= sys.stdlib_module_names


def test_the_fork_server_carries_nothing_of_the_coordinator() -> None:
    code = "import sys; before = set(sys.modules); import workers.forkserver; print(*(set(sys.modules) - before))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=TOP, text=True, capture_output=True, check=True)
    packages = {name.split(".")[0] for name in ran.stdout.split()}
    assert packages - set(sys.stdlib_module_names) == {"workers", "psutil"}


def test_files_are_small() -> None:
    long = [
        f"{where(path)}: {size}"
        for folder, longest in LONGEST.items()
        for path in below(folder, endings=(".py", ".lua"))
        if (size := len(path.read_text(encoding="utf-8").splitlines())) > longest
    ]
    assert long == []


def test_all_is_sorted_and_true() -> None:
    names = coordinator.__all__
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    tree = ast.parse(inspect.getsource(coordinator))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.col_offset in {0, 4} and node.module != "typing"
        for alias in node.names
    }
    assert imported - {"store", "HOME_OF"} == set(names)
    assert [name for name in names if getattr(coordinator, name, None) is None] == []


def test_the_drawing_of_the_errors_is_the_tree() -> None:
    assert errors.__doc__
    drawn, path = {}, {-1: "Exception"}
    for line in errors.__doc__.splitlines():
        if match := re.match(r"^([│├└─ ]*)([A-Z]\w+)(\(\w+\))?  ", line):
            depth = len(match[1]) // 4
            path[depth] = match[2]
            drawn[match[2]] = path[depth - 1]
    assert drawn == dict(tree_of(errors))


def tree_of(home: ModuleType) -> Iterator[tuple[str, str]]:
    """Each public error and the nearest public one above it."""
    for name, kind in inspect.getmembers(home, inspect.isclass):
        if issubclass(kind, Exception) and kind.__module__ == home.__name__ and not name.startswith("_"):
            yield name, next(base.__name__ for base in kind.__mro__[1:] if not base.__name__.startswith("_"))


def test_no_banned_word_is_used() -> None:
    assert found(BANNED, below("coordinator", "workers", endings=(".py", ".lua"))) == []


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """The comments of a Python file; of any other file, its lines."""
    if path.suffix != ".py":
        yield from enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        return
    with path.open("rb") as file:
        tokens = list(tokenize.tokenize(file.readline))
    yield from ((one.start[0], one.string) for one in tokens if one.type == tokenize.COMMENT)


def test_nothing_is_left_to_do() -> None:
    left = [
        f"{where(path)}:{number}: {text.strip()}"
        for path in tracked(".py", ".lua", ".toml", ".yml", "")
        for number, text in comments(path)
        if LEFT_TO_DO.search(text)
    ]
    assert left == []


def test_no_file_knows_a_directory_of_the_machine_it_was_written_on() -> None:
    assert found(LOCAL_PATH, tracked(".md", ".yml", ".toml", ".py", ".lua", ".sh", "")) == []


def test_no_test_sleeps() -> None:
    paths = [path for path in below("tests") if path.parent.name != "fakes" and path.name != "waiting.py"]
    sleeps = [
        where(path)
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep"}
    ]
    assert sleeps == []


def test_the_top_level_is_what_it_should_be() -> None:
    names = {path.relative_to(TOP).parts[0] for path in tracked()}
    assert {name for name in names if not name.startswith(".")} == TOP_LEVEL


def test_the_example_of_agents_yaml_has_no_problem() -> None:
    known, problems = fleet.parse((TOP / "tests" / "agents.yaml").read_text())
    assert problems == []
    assert known.runners


def test_every_console_script_exists() -> None:
    scripts = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts) == {"coordinator", "worker"}
    for target in scripts.values():
        home, _, name = target.partition(":")
        assert callable(getattr(importlib.import_module(home), name))
    installed = importlib.metadata.distribution("dispatch-coordinator").entry_points.select(group="console_scripts")
    assert {one.name: one.value for one in installed} == scripts


@pytest.mark.parametrize(("name", "last"), [("demo", ".venv/bin/coordinator demo"), ("test", ".venv/bin/pytest")])
def test_the_readme_has_the_commands(name: str, last: str) -> None:
    line = command(name)
    assert line.startswith("python3 -m venv .venv && .venv/bin/pip install -q ")
    assert line.split(" && ")[-1].startswith(last)


def test_the_one_command_can_be_run() -> None:
    assert os.access(TOP / ".ci" / "run", os.X_OK)
