"""Which part of a list is wanted."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`limit` rows after the first `offset`; the door bounds both (D18)."""

    limit: int = 50
    offset: int = 0


FIRST_PAGE = Page()
