"""Parameters that several routes share."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Path, Query, Request
from pydantic import WithJsonSchema

from api.schemas import PagedLinks
from db.page import Page as Part

LARGEST_PAGE = 200
LARGEST_OFFSET = 10_000

ExecutionText = Annotated[
    str,
    Path(alias="executionId", description="The id, or a unique beginning or end of it", max_length=100),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]
SuiteRunText = Annotated[
    str,
    Path(alias="suiteRunId", description="The id, or a unique beginning or end of it", max_length=100),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]
PoolQuery = Annotated[str, Query(max_length=100, description="Name of the pool")]
IntoPool = Annotated[str, Query(alias="pool", max_length=100, description="Name of the pool that runs it")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """The page of a list that a request asks for."""

    limit: int
    offset: int
    address: str
    query: tuple[tuple[str, str], ...]

    @property
    def part(self) -> Part:
        """The page, in the form of the database queries."""
        return Part(limit=self.limit, offset=self.offset)

    def links(self, total: int) -> PagedLinks:
        """Return the link to the next page, if there is one within the limits."""
        following = self.offset + self.limit
        if following >= total or following > LARGEST_OFFSET:
            return PagedLinks()
        query = [(k, v) for k, v in self.query if k not in {"limit", "offset"}]
        return PagedLinks(
            next=f"{self.address}?{urlencode([*query, ('limit', str(self.limit)), ('offset', str(following))])}"
        )


def paging(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Number of items on a page")] = 20,
    offset: Annotated[int, Query(ge=0, le=LARGEST_OFFSET, description="Number of items to skip")] = 0,
) -> Paging:
    """Read the paging of a request."""
    return Paging(limit=limit, offset=offset, address=request.url.path, query=tuple(request.query_params.multi_items()))


def full_paging(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Number of items on a page")] = LARGEST_PAGE,
    offset: Annotated[int, Query(ge=0, le=LARGEST_OFFSET, description="Number of items to skip")] = 0,
) -> Paging:
    """Read the paging of a request. The default is the largest page."""
    return paging(request, limit, offset)


Page = Annotated[Paging, Depends(paging)]
FullPage = Annotated[Paging, Depends(full_paging)]
