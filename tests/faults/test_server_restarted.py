"""A server that is killed and comes back with its file, while fifty agents run."""

from pathlib import Path

from tests.fifty import FIRST, NEXT, all_are_told_once, ended, fifty, submit
from tests.forgetful import Forgetful


async def test_nobody_is_killed_or_doubled_and_each_ending_counts_once(tmp_path: Path) -> None:
    with Forgetful(tmp_path / "server") as server:
        async with fifty(server.url, tmp_path) as (fleet, first, last):
            await submit(fleet, NEXT, "0.2")
            server.kill()
            first.open()
            await ended(fleet, len(FIRST))
            server.start()
            await ended(fleet, len(FIRST) + len(NEXT))  # in their places, beside those that run on
            last.open()
            await all_are_told_once(fleet)
