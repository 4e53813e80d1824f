"""docs/reference-runner.md: a table by hand, but for its last column, which is the tests' own marks.

`python -m tests.reference` rewrites that column and the counts, and prints what is still wrong; the marks are
`@pytest.mark.reference(64, "W3", "T50")` on a test, on its class, in a module's `pytestmark`, or on one parameter.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

TOP: Final = Path(__file__).parent.parent
DOCUMENT: Final = TOP / "docs" / "reference-runner.md"
ROWS: Final = [*map(str, range(1, 84)), *(f"W{n}" for n in range(1, 32)), *(f"T{n}" for n in range(1, 97))]
#: Tests that reach the product as its users do: by verbs, the command line, the bus or the disk.
OUTSIDE: Final = ("tests/unit/operations/", "tests/integration/", "tests/faults/", "tests/model/")

_ROW: Final = re.compile(r"\| (?P<id>[WT]?\d+) (?P<outside>\* )?\| (?P<what>[^|]+) \| (?P<verdict>[^|]+) \|[^|]*\|")
_VERDICT: Final = re.compile(r"same|(better|not taken): \S.*")
_WORDS: Final = ("same", "better", "not taken")
_COUNT: Final = re.compile(r"\d+ rows: \d+ same, \d+ better, \d+ not taken\.")

Marks = Mapping[str, list[str]]  # row → `file::test`, in the order of files


class Row(NamedTuple):
    """One row, as it is written by hand. `outside`: a test must show it from outside."""

    id: str
    what: str
    verdict: str
    outside: bool

    @property
    def taken(self) -> bool:
        """Whether the product does this, alike or better."""
        return not self.verdict.startswith("not taken")


def row_of(line: str) -> Row | None:
    """The row that a line of the document is."""
    found = _ROW.fullmatch(line)
    return found and Row(found["id"], found["what"].strip(), found["verdict"].strip(), found["outside"] is not None)


def rows(text: str) -> list[Row]:
    """Every row of the document, in its order."""
    return [row for line in text.splitlines() if (row := row_of(line))]


def marks(top: Path = TOP) -> tuple[dict[str, list[str]], list[str]]:
    """Row to the tests that are marked with it; and what is wrong with marks themselves."""
    found: dict[str, list[str]] = {}
    wrong: list[str] = []
    for path in sorted((top / "tests").rglob("*.py")):
        where = path.relative_to(top).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used: set[ast.Call] = set()
        for name, calls in _tests(tree.body, ()) if path.name.startswith("test_") else ():
            used.update(calls)
            for row in sorted({row for call in calls for row in _arguments(call)}):
                found.setdefault(row, []).append(f"{where}::{name}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _is_mark(node):
                if node not in used:
                    wrong.append(f"{where}:{node.lineno}: this mark is on no test")
                elif not _arguments(node):
                    wrong.append(f"{where}:{node.lineno}: write the rows into the mark as plain numbers and texts")
    return found, sorted(wrong, key=lambda line: (line.partition(":")[0], int(line.split(":")[1])))


def _tests(body: list[ast.stmt], above: tuple[ast.Call, ...]) -> Iterator[tuple[str, tuple[ast.Call, ...]]]:
    """Each test of a module or class, and the marks that hold for it."""
    for node in body:
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == "pytestmark" for target in node.targets):
            above += tuple(_calls(node.value))
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from _tests(node.body, above + tuple(_calls(*node.decorator_list)))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name, above + tuple(_calls(*node.decorator_list))


def _calls(*nodes: ast.expr) -> Iterator[ast.Call]:
    """The marks anywhere in these: also in `pytest.param(..., marks=...)`."""
    return (inner for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Call) and _is_mark(inner))


def _is_mark(call: ast.Call) -> bool:
    return ast.unparse(call.func) == "pytest.mark.reference"


def _arguments(call: ast.Call) -> list[str]:
    """The rows a mark names; none when one of them is no plain value."""
    values = [argument.value if isinstance(argument, ast.Constant) else None for argument in call.args]
    plain = [str(value) for value in values if isinstance(value, int | str)]
    return plain if len(plain) == len(values) else []


def written(text: str, shown_by: Marks) -> str:
    """The document with its counts and its last column as they must be."""
    count, lines = _counted(text), []
    for line in text.splitlines():
        if row := row_of(line):
            id_ = f"{row.id} *" if row.outside else row.id
            cells = (id_, row.what, row.verdict, ", ".join(map(_link, shown_by.get(row.id, []))))
            lines.append(f"| {' | '.join(cells)} |")
        else:
            lines.append(_COUNT.sub(lambda _: next(count), line))
    return "\n".join(lines) + "\n"


def _counted(text: str) -> Iterator[str]:
    """What each table adds up to, in order; its line stands before it."""
    for part in _COUNT.split(text)[1:]:
        said = [row.verdict.partition(":")[0] for row in rows(part)]
        yield f"{len(said)} rows: " + ", ".join(f"{said.count(each)} {each}" for each in _WORDS) + "."


def _link(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../{path})"


def unsound(text: str, shown_by: Marks) -> list[str]:
    """What is wrong with the document and the marks, but for rows without a test."""
    known = rows(text)
    said = [row.id for row in known]
    wrong = [f"row {id_} is missing" for id_ in ROWS if id_ not in said]
    wrong += [f"row {id_} is there {said.count(id_)} times" for id_ in dict.fromkeys(said) if said.count(id_) > 1]
    wrong += [f"row {id_} does not exist in the reference" for id_ in said if id_ not in ROWS]
    if not wrong and said != ROWS:
        wrong.append("rows are not in the order of the reference")
    for row in known:
        if not _VERDICT.fullmatch(row.verdict):
            wrong.append(f"row {row.id}: write same, better: how, or not taken: why; got {row.verdict!r}")
    for id_ in sorted(shown_by.keys() - set(ROWS)):
        wrong.append(f"{', '.join(shown_by[id_])}: row {id_} does not exist")
    if text != written(text, shown_by):
        wrong.append("the last column is not what the marks say: python -m tests.reference writes it")
    return wrong


def gaps(text: str, shown_by: Marks) -> list[str]:
    """Rows that have no test, also of what is not taken; or none from outside where one is asked for of what is."""
    found = []
    for row in rows(text):
        tests = shown_by.get(row.id, [])
        if not tests:
            found.append(f"{row.id}: no test shows it ({row.what})")
        elif row.taken and row.outside and not any(test.startswith(OUTSIDE) for test in tests):
            found.append(f"{row.id}: no test shows it from outside ({row.what})")
    return found


def main() -> int:
    """Rewrite the document, and print what is left to do; 1 while there is any."""
    shown_by, wrong = marks()
    text = written(DOCUMENT.read_text(encoding="utf-8"), shown_by)
    DOCUMENT.write_text(text, encoding="utf-8")
    left = [*wrong, *unsound(text, shown_by), *gaps(text, shown_by)]
    print("\n".join(left) or f"{len(ROWS)} rows, every one shown")
    return int(bool(left))


if __name__ == "__main__":
    sys.exit(main())
