"""Gives every public function and class that has no docstring a stub, and proves that no code changed."""

import ast
import tokenize
from pathlib import Path

from .work import modules, python, read, run, say

_NAMED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def document(place: Path) -> str:
    """Add the stubs; SystemExit when a changed module means something else than before, or does not compile."""
    stubs = 0
    changed: list[str] = []
    for module in modules(place):
        before = read(module)
        after, added = _documented(before)
        if not added:
            say(f"{module}: nothing to add")
            continue
        if _code(before) != _code(after):
            raise SystemExit(f"{module}: the code would change")
        with module.open("rb") as file:
            encoding = tokenize.detect_encoding(file.readline)[0]
        module.write_text(after, encoding=encoding)
        say(f"{module}: {added} stubs; its code is what it was")
        stubs, changed = stubs + added, [*changed, str(module)]
    if changed:
        python("-m", "py_compile", *changed)
    return f"{stubs} docstring stubs in {len(changed)} modules"


def _documented(text: str) -> tuple[str, int]:
    lines = text.splitlines(keepends=True)
    bare = [node for node in ast.walk(ast.parse(text)) if isinstance(node, _NAMED) and _is_bare(node, lines)]
    for node in sorted(bare, key=_first_line, reverse=True):  # from the end, so that line numbers stay true
        kind = "class" if isinstance(node, ast.ClassDef) else "function"
        at = _first_line(node) - 1
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        lines.insert(at, f'{indent}"""To be documented: the {kind} {node.name}."""\n')
    return "".join(lines), len(bare)


def _is_bare(node: _NAMED, lines: list[str]) -> bool:
    first = node.body[0]
    alone = not lines[_first_line(node) - 1].encode()[: first.col_offset].strip()  # not `def f(): pass`
    return alone and not node.name.startswith("_") and ast.get_docstring(node) is None


def _first_line(node: _NAMED) -> int:
    first = node.body[0]
    decorators = first.decorator_list if isinstance(first, _NAMED) else []
    return min([first.lineno, *(decorator.lineno for decorator in decorators)])


def _code(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, _NAMED) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree)


def main() -> None:
    """Do the task on stdin."""
    run(document)
