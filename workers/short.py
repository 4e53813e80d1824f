"""What can not be done for a while because descriptors or memory are short, of this process or of the machine."""

import errno
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")
SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_PAUSE_S = 0.05


def wait_where_short(error: OSError) -> None:
    """Wait a little before it is tried again; raises any other error."""
    if error.errno not in SHORT:
        raise error
    time.sleep(_PAUSE_S)


def patiently(do: Callable[[], T]) -> T:
    """What `do` gives, as soon as it can be done. Blocks until then."""
    while True:
        try:
            return do()
        except OSError as error:
            wait_where_short(error)


def at_once(do: Callable[[], T]) -> T | None:
    """What `do` gives; None where it can not be done just now."""
    try:
        return do()
    except OSError as error:
        if error.errno not in SHORT:
            raise
        return None
