"""docs/proof.md names every law, in the words of the law itself."""

import re
from pathlib import Path

from tests.model import laws

TEXT = (Path(__file__).parent.parent / "docs" / "proof.md").read_text(encoding="utf-8")


def test_the_page_tells_each_law_as_it_is() -> None:
    told = re.findall(r"^\| `(\w+)` \| (.*) \|$", TEXT, re.MULTILINE)
    assert told == [(law.__name__, " ".join((law.__doc__ or "").split())) for law in (*laws.ALWAYS, *laws.OF_ANSWERS)]
