"""The public face: what it promises to type checkers is what it hands out, and only when asked."""

import ast
import importlib
import inspect
import subprocess
import sys

import pytest

import coordinator


def test_every_name_is_what_type_checkers_believe_it_is() -> None:
    tree = ast.parse(inspect.getsource(coordinator))
    promised = {
        alias.name: node.module
        for branch in tree.body
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(promised) == set(coordinator.__all__)
    for name, home in promised.items():
        module = importlib.import_module(str(home))
        inner = f"{home}.{name}"
        held = getattr(module, name) if hasattr(module, name) else importlib.import_module(inner)
        assert getattr(coordinator, name) is held, name


def test_names_load_nothing_but_their_own_home() -> None:
    code = (
        "import sys, coordinator; print(*sorted(sys.modules))\n"
        "from coordinator import *; assert Store and embedded.find and first and set(coordinator.__all__) <= set(dir())"
    )
    ran = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    loaded = {name.split(".")[0] for name in ran.stdout.split()}
    assert loaded.isdisjoint({"asyncio", "psutil", "pydantic", "redis", "yaml"})
    ours = {name for name in ran.stdout.split() if name.startswith("coordinator")}
    assert ours == {"coordinator", "coordinator.homes"}


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(AttributeError, match="module 'coordinator' has no attribute 'Nobody'"):
        coordinator.Nobody  # type: ignore[attr-defined]  # noqa: B018
