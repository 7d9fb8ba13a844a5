"""Parameters that several routes share."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Path, Query, Request
from pydantic import WithJsonSchema

from api.schemas import PagedLinks
from db.page import Page as Part

MOST = 200
FARTHEST = 10_000

ExecutionText = Annotated[
    str,
    Path(alias="executionId", description="The id, or any unique beginning or end of it", max_length=100),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]
SuiteRunText = Annotated[
    str,
    Path(alias="suiteRunId", description="The id, or any unique beginning or end of it", max_length=100),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]
PoolQuery = Annotated[str, Query(max_length=100, description="The pool")]
IntoPool = Annotated[str, Query(alias="pool", max_length=100, description="The pool whose nodes shall run it")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """Which part of a list is wanted."""

    limit: int
    offset: int
    address: str
    query: tuple[tuple[str, str], ...]

    @property
    def part(self) -> Part:
        """The part, as the database takes it."""
        return Part(limit=self.limit, offset=self.offset)

    def links(self, total: int) -> PagedLinks:
        """Return the link to the next page, if there is one within the bounds."""
        following = self.offset + self.limit
        if following >= total or following > FARTHEST:
            return PagedLinks()
        query = [(k, v) for k, v in self.query if k not in {"limit", "offset"}]
        return PagedLinks(
            next=f"{self.address}?{urlencode([*query, ('limit', str(self.limit)), ('offset', str(following))])}"
        )


def paging(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST, description="Items a page")] = 20,
    offset: Annotated[int, Query(ge=0, le=FARTHEST, description="Items to leave out")] = 0,
) -> Paging:
    """Read the paging of a request."""
    return Paging(limit=limit, offset=offset, address=request.url.path, query=tuple(request.query_params.multi_items()))


def full_paging(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST, description="Items a page")] = MOST,
    offset: Annotated[int, Query(ge=0, le=FARTHEST, description="Items to leave out")] = 0,
) -> Paging:
    """Read the paging of a request whose pages are as large as may be, unless it says otherwise."""
    return paging(request, limit, offset)


Page = Annotated[Paging, Depends(paging)]
FullPage = Annotated[Paging, Depends(full_paging)]
