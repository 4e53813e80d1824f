"""The slip of a run: made once, overwritten in place, and never read half-copied."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.processes import Identity
from workers.run import Ended, Exit
from workers.slip import Birth, Slip

BIRTH = Birth(Identity(12, 34), "b0-0t", 1720000000123456, 5000, 3_600_000, "core/go-io/task 5")


@pytest.fixture
def slip(tmp_path: Path) -> Iterator[Slip]:
    with Slip.create(tmp_path / "7.run", BIRTH, 99) as slip:
        yield slip


def test_it_says_what_was_written_to_whoever_opens_it(slip: Slip) -> None:
    slip.extend(2**45)
    slip.give_order("killed", 250, 777)
    slip.set_state("stilled", 55)
    slip.set_agent(Identity(56, 78), 1_720_000_000_000)
    ending = Exit(None, 9, "timeout", 1, 2, "because €", (Ended(3, "node server.js", "TERM"),))
    slip.set_exit(ending)
    with Slip.open(slip.path) as other:
        assert other.birth() == BIRTH
        assert other.deadline_ms() == 2**45
        assert other.order() == ("killed", 250, 777)
        assert other.state() == ("stilled", 55)
        assert other.agent() == (Identity(56, 78), 1_720_000_000_000)
        assert other.exit() == ending


def test_a_new_one_knows_only_its_birth_and_its_deadline(slip: Slip) -> None:
    assert (slip.deadline_ms(), slip.birth()) == (99, BIRTH)
    assert (slip.order(), slip.state(), slip.agent(), slip.exit()) == (None, ("running", 0), None, None)


def test_it_is_made_once(slip: Slip) -> None:
    with pytest.raises(FileExistsError):
        Slip.create(slip.path, BIRTH, 100)
    assert slip.deadline_ms() == 99


def test_a_half_copied_line_is_not_believed(slip: Slip) -> None:
    slip.extend(1_999_999)
    before = slip.path.read_bytes()
    slip.extend(2_000_000)
    after = slip.path.read_bytes()
    differing = [place for place, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    for place in differing[:-1]:
        slip.path.write_bytes(after[: place + 1] + before[place + 1 :])
        with Slip.open(slip.path) as torn:
            assert torn.deadline_ms() is None


def test_one_that_its_guard_has_not_written_yet_is_no_surprise(tmp_path: Path) -> None:
    (tmp_path / "8.run").touch()
    with Slip.open(tmp_path / "8.run") as empty:
        assert (empty.birth(), empty.deadline_ms(), empty.order(), empty.exit()) == (None, None, None, None)


def test_its_size_and_place_never_change_however_much_survived(slip: Slip) -> None:
    before = slip.path.stat()
    many = tuple(Ended(n, "€" * 120, "KILL" if n < 999 else "left") for n in range(1000))
    slip.set_exit(Exit(1, None, "exited", 1, 2, "e" * 10_000, many))
    after = slip.path.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    ending = slip.exit()
    assert ending
    assert ending.receipt[:2] == (many[999], many[0])  # what may live is named in any case
    assert slip.birth() == BIRTH


@pytest.mark.parametrize("name", ["two\nlines", "x" * 8000])
def test_a_name_that_does_not_fit_makes_no_slip(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="do not fit a slip"):
        Slip.create(tmp_path / "8.run", BIRTH._replace(workspace=name), 99)
    assert not (tmp_path / "8.run").exists()


def test_a_person_can_read_it(slip: Slip) -> None:
    lines = [line.split(" #")[0].rstrip() for line in slip.path.read_text().splitlines()]
    assert lines[0] == "deadline 99"
    assert [line.split()[0] for line in lines] == ["deadline", "order", "state", "agent", "guard", "run", "exit"]


def test_an_ending_that_another_version_wrote_is_read() -> None:
    text = '{"code": 3, "signal": null, "reason": "exited", "started_at": 1, "ended_at": 2, "survivors": [[9, "sh"]]}'
    assert Exit.decode(text) == Exit(3, None, "exited", 1, 2)


def test_where_nothing_can_be_made_nobody_else_can_make_a_slip(tmp_path: Path) -> None:
    assert Slip.forestall(tmp_path / "7.run")
    assert not Slip.forestall(tmp_path / "7.run")
    assert Slip.forestall(tmp_path / "gone" / "8.run")
