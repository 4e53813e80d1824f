"""Whether anything below a directory has changed since a moment, looked for bit by bit."""

import os
from collections.abc import Iterator
from pathlib import Path


def changed_since(directory: Path, epoch_s: float) -> Iterator[bool]:
    """False for each directory without a change, True at the first change, which ends it. Links are not followed."""
    left = [str(directory)]
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    try:
                        found = entry.stat(follow_symlinks=False)
                        if max(found.st_ctime, found.st_mtime) >= epoch_s:
                            yield True
                            return
                        if entry.is_dir(follow_symlinks=False):
                            left.append(entry.path)
                    except OSError:  # gone meanwhile: that shows in its directory
                        continue
        except OSError:
            continue
        yield False
