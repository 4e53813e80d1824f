"""Writes CHECKS.md: unused imports, long lines, bare excepts and notes left in the code, module by module."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from .work import modules, python, read, run, say

_LONGEST_LINE = 100
_NOTE = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b")


def check(place: Path) -> str:
    """Check the package; SystemExit when a module does not compile with warnings as errors."""
    python("-W", "error", "-m", "py_compile", *map(str, modules(place)))
    pages, total = [], 0
    for module in modules(place):
        found = sorted(_findings(module, read(module)))
        say(f"{module}: {len(found)} findings")
        rows = [f"- line {line}: {what}" for line, what in found] or ["Nothing found."]
        pages.append("\n".join((f"## {module.relative_to(place)}\n", *rows, "")))
        total += len(found)
    head = f"# {place.name}\n\n{total} findings in {len(pages)} modules.\n"
    (place / "CHECKS.md").write_text("\n".join((head, *pages)), encoding="utf-8")
    return f"{total} findings in {len(pages)} modules"


def _findings(module: Path, text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), start=1):  # a form feed begins no line
        if len(line) > _LONGEST_LINE:
            yield number, f"{len(line)} characters"
        if note := _NOTE.search(line):
            yield number, f"a note left: {note[1]}"
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "a bare except"
    if module.name != "__init__.py":  # what a package imports, it may mean to offer
        yield from _unused(tree)


def _unused(tree: ast.Module) -> Iterator[tuple[int, str]]:
    words = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    words |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                name = (alias.asname or alias.name).partition(".")[0]
                if name not in {"*", "annotations"} and name not in words:
                    yield node.lineno, f"`{name}` is imported and not used"


def main() -> None:
    """Do the task on stdin."""
    run(check)
