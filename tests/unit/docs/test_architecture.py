"""docs/architecture.md names files; each of them exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_PATH = re.compile(r"`([\w-]+(?:/[\w.-]+)+)`")
_LINK = re.compile(r"\]\(([^)]+)\)")


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(_PATH.findall(_COMMENT.sub("", PAGE)))

    assert len(named) > 40
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_every_link_of_the_page_leads_somewhere() -> None:
    assert [link for link in _LINK.findall(PAGE) if not (ROOT / "docs" / link).exists()] == []
