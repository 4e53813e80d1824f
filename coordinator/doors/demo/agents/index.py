"""Writes INDEX.md: every module of a package with its functions and classes, agreed on with a second reader."""

import ast
import symtable
from pathlib import Path

from .work import modules, python, read, run, say

_NAMED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def index(place: Path) -> str:
    """Index the package; SystemExit when the compiler knows no such name, or an indentation is unsound."""
    if unsound := python("-m", "tabnanny", *map(str, modules(place))):
        raise SystemExit(unsound)
    pages, names, lines = [], 0, 0
    for module in modules(place):
        text = read(module)
        found = [node for node in ast.parse(text).body if isinstance(node, _NAMED)]
        known = {table.get_name() for table in symtable.symtable(text, str(module), "exec").get_children()}
        if missing := [node.name for node in found if node.name not in known]:
            raise SystemExit(f"{module}: the compiler knows no {', '.join(missing)}")
        pages.append(_page(module.relative_to(place), found, text.count("\n")))
        say(f"{module}: {len(found)} names, {text.count(chr(10))} lines; the compiler agrees")
        names, lines = names + len(found), lines + text.count("\n")
    head = f"# {place.name}\n\n{len(pages)} modules, {names} functions and classes, {lines} lines.\n"
    (place / "INDEX.md").write_text("\n".join((head, *pages)), encoding="utf-8")
    return f"index of {names} names in {len(pages)} modules"


def _page(module: Path, found: list[_NAMED], lines: int) -> str:
    rows = [
        f"| {node.lineno} | {'class' if isinstance(node, ast.ClassDef) else 'function'} | `{node.name}` "
        f"| {(node.end_lineno or node.lineno) - node.lineno + 1} | {'yes' if ast.get_docstring(node) else 'no'} |"
        for node in found
    ]
    table = "\n".join(("| line | kind | name | lines | documented |", "| ---: | --- | --- | ---: | --- |", *rows))
    return f"## {module} ({lines} lines)\n\n{table if rows else 'Nothing defined at the top level.'}\n"


def main() -> None:
    """Do the task on stdin."""
    run(index)
