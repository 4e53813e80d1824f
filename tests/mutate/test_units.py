"""The process that waits with the unit tests: a library that one of them fails is caught, and none other."""

from coordinator import library
from tests.mutate.units import Units

_TEST = "tests/unit/operations/test_submit.py::test_submitting_twice_is_submitting_once[redis]"


def test_a_library_that_a_test_fails_is_caught() -> None:
    units = Units()
    try:
        found = [units.catch(text, [_TEST]) for text in (library.TEXT, "#!lua name=dispatch\n", library.TEXT)]
    finally:
        units.stop()
    assert found == [None, _TEST, None]
