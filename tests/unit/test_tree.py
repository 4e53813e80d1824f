"""Which directories are workspaces, and that nothing on a disk leads the walk astray."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.trees import many, put
from workers.tree import walk


@pytest.mark.reference(44, 45, 47)
def test_workspaces_are_one_or_three_deep_or_anywhere_with_a_checkout(tmp_path: Path) -> None:
    wanted = ["core/go-io/agent/fix/deep", "core/go-io/task-5", "ws-blocked"]
    put(tmp_path, "ws-blocked", "blocked")
    put(tmp_path, "core/go-io/task-5", "running")
    put(tmp_path, "core/go-io/agent/fix/deep", "queued", checked_out=True)
    put(tmp_path, "two/deep", "queued")
    put(tmp_path, "four/levels/deep/here", "queued")
    put(tmp_path, "three/levels/none")
    put(tmp_path, ".", "queued", checked_out=True)
    assert walk(tmp_path) == (tuple(wanted), ())


def test_one_that_works_without_a_checkout_is_found_at_any_depth(tmp_path: Path) -> None:
    for name in ("email/index", "a/b/c/d"):
        put(tmp_path, f"{name}/.meta")
        put(tmp_path, name, "completed")
    assert walk(tmp_path).names == ("a/b/c/d", "email/index")


def test_what_lies_inside_a_workspace_is_its_own(tmp_path: Path) -> None:
    put(tmp_path, "outer", "completed", checked_out=True)
    put(tmp_path, "outer/repo/inner", "queued", checked_out=True)
    assert walk(tmp_path).names == ("outer",)


def test_the_directories_of_servers_and_hosts_are_not_looked_at(tmp_path: Path) -> None:
    put(tmp_path, ".hosts", "queued")
    put(tmp_path, ".coordinator/a/b", "queued")
    put(tmp_path, "core/x/.hidden", "queued")
    assert walk(tmp_path).names == ("core/x/.hidden",)


def test_no_link_is_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    put(outside, "far", "queued")
    put(root, "core/x/one", "queued")
    (root / "core" / "loop").symlink_to(root)
    (root / "core" / "x" / "out").symlink_to(outside / "far")
    (root / "far").symlink_to(outside)
    (root / "self").symlink_to("self")
    assert walk(root) == (("core/x/one",), ())
    (tmp_path / "link").symlink_to(root)
    assert walk(tmp_path / "link").names == ("core/x/one",)


def test_a_name_that_can_be_none_is_named_and_left_out(tmp_path: Path) -> None:
    for name in ("with space", "core/x/-dash", os.fsdecode(b"b\xffd"), "core/x/" + "n" * 220, "line\nbreak"):
        put(tmp_path, name, "queued")
    put(tmp_path, "fine", "queued")
    found = walk(tmp_path)
    assert found.names == ("fine",)
    assert len(found.problems) == 5
    assert all("is no name for a workspace" in problem.problem and problem.fix for problem in found.problems)
    assert all(str(problem).encode() and str(problem).isprintable() for problem in found.problems)


def test_a_directory_that_can_not_be_read_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "core/a/one", "queued")
    put(tmp_path, "core/b/two", "queued")
    scan = os.scandir

    def refuse(path: Path) -> Any:
        if path.name == "b":
            raise PermissionError(13, "Permission denied")
        return scan(str(path))

    monkeypatch.setattr(os, "scandir", refuse)  # root reads everything: the system's refusal is told here
    found = walk(tmp_path)
    assert found.names == ("core/a/one",)
    assert [(problem.field, problem.problem) for problem in found.problems] == [
        ("core/b", "can not be read: Permission denied")
    ]


def test_the_root_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        walk(tmp_path / "none")


@pytest.mark.reference(45)
def test_a_large_tree_is_found_whole_and_sorted(tmp_path: Path) -> None:
    many(tmp_path, 300)
    names = walk(tmp_path).names
    assert len(names) == len(set(names)) == 300
    assert list(names) == sorted(names)
