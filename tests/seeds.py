"""What a seed means depends on the seed alone.

Hypothesis also draws from the constants of whichever modules of this project are imported by then. So a seed would mean
one thing in a process that ran other tests before, and another in one that did not.
"""

from hypothesis.internal.conjecture.providers import HypothesisProvider
from hypothesis.internal.constants_ast import Constants


def depend_on_nothing_else() -> None:
    """For this process, before it draws anything. Hypothesis has no setting for it."""
    HypothesisProvider._local_constants = Constants()  # type: ignore[assignment]
