"""Many things told in several questions: so many at most in each, and so much text."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batches(things: Iterable[T], most: int, most_text: int, text: Callable[[T], int]) -> Iterator[list[T]]:
    """In their order; `text` says how much one has, and one that has more than `most_text` goes alone."""
    batch: list[T] = []
    size = 0
    for one in things:
        of_one = text(one)
        if batch and (len(batch) == most or size + of_one > most_text):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += of_one
    if batch:
        yield batch
