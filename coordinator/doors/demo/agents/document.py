"""Gives every public function and class that has no docstring a stub, and proves that no code changed."""

import ast
import io
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
        _write(module, after)
        say(f"{module}: {added} stubs; its code is what it was")
        stubs, changed = stubs + added, [*changed, str(module)]
    if changed:
        python("-m", "py_compile", *changed)
    return f"{stubs} docstring stubs in {len(changed)} modules"


def _documented(text: str) -> tuple[str, int]:
    lines = io.StringIO(text).readlines()  # as Python counts them: a form feed begins no line
    indents = _indents(text)
    added = 0
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, _NAMED) or node.name.startswith("_") or ast.get_docstring(node) is not None:
            continue
        if at := next((row for row in range(node.lineno + 1, node.body[0].lineno + 1) if row in indents), 0):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            # Before that line and as a part of it, so that the numbers of the others stay true.
            lines[at - 1] = f'{indents[at]}"""To be documented: the {kind} {node.name}."""\n{lines[at - 1]}'
            added += 1
    return "".join(lines), added


def _indents(text: str) -> dict[int, str]:
    """The line at which each indented block begins. A body that follows its colon, `def f(): pass`, has none."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.INDENT}


def _write(module: Path, text: str) -> None:
    """In the encoding and with the line ends that it has."""
    with module.open("rb") as file:
        encoding = tokenize.detect_encoding(file.readline)[0]
        file.seek(0)
        newline = "\r\n" if file.readline().endswith(b"\r\n") else "\n"
    module.write_text(text, encoding=encoding, newline=newline)


def _code(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, _NAMED) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree)


def main() -> None:
    """Do the task on stdin."""
    run(document)
