"""Whether anything below a directory has changed since a moment, looked for bit by bit."""

import os
from collections.abc import Iterator
from pathlib import Path

from workers.short import SHORT


def changed_since(directory: Path, epoch_s: float) -> Iterator[bool]:
    """False for each directory without a change, True at the first change, which ends it. Links are not followed.

    Where there is no descriptor to look with there may be one: True.
    """
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
        except OSError as error:
            if error.errno in SHORT:
                yield True
                return
            continue
        yield False
