"""/chaos/score: the resilience of services over their experiments, and what was never tested."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from pydantic import Field

from api import openapi
from api.schemas import Out
from api.services import ServicesDep
from chaos.fault_types import FaultType
from chaos.resilience import Cell, CellState, ServiceScore
from orchestrator import resilience
from reports.resilience import resilience_html

router = APIRouter(prefix="/chaos", tags=["chaos"])
NO_SERVICE = "No experiment has seen such a service"
Service = Annotated[
    str | None, Query(max_length=300, description="Only this service: its path, or the end of it; default: all")
]
Weeks = Annotated[int, Query(ge=1, le=52, description="How many weeks the trend goes back")]


class ScorePointOut(Out):
    """The score at one time."""

    at: datetime
    score: float


class ScoreCellOut(Out):
    """What is known about one type of fault at one service."""

    type: FaultType
    weight: int
    state: CellState
    credit: float = Field(description="From 0 to 1: what it adds to the score, of its weight")
    magnitude: float = Field(description="From 0 to 1: how hard what held was; 0 if nothing held")
    fails_at: float | None = Field(description="The smallest magnitude that failed and was not mended since")
    tested_at: datetime | None
    run: str | None = Field(description="The execution that this comes from")
    without_verdict: int = Field(description="Executions that say nothing: inconclusive, aborted, blocked")


class ServiceScoreOut(Out):
    """The resilience of one service."""

    service: str = Field(description="Such as local/shop/payments or k8s/lab/shop/payments")
    score: float = Field(description="From 0 to 100")
    coverage_percent: float = Field(description="The share of the weights with a verdict")
    cells: list[ScoreCellOut]
    never_tested: list[FaultType] = Field(description="The heaviest first")
    trend: list[ScorePointOut] = Field(description="A point a week, the oldest first, now last")


class ScoreList(Out):
    """The resilience of services; the lowest of each place first."""

    services: list[ServiceScoreOut]


@router.get("/score", summary="Get the resilience of services", responses=openapi.refusals(status_404=NO_SERVICE))
async def show_score(services: ServicesDep, service: Service = None, weeks: Weeks = 12) -> ScoreList:
    """Return score, trend, and what was never tested, of each service that experiments have seen."""
    now = services.now()
    found = await services.database.run(lambda conn: resilience.scores(conn, now, weeks, service))
    return ScoreList(services=[_service(one) for one in found])


_PAGE: dict[int | str, dict[str, Any]] = {
    **openapi.refusals(status_404=NO_SERVICE),
    200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "One HTML file"},
}


@router.get(
    "/score/report",
    summary="Get the page about the resilience of services",
    response_class=HTMLResponse,
    responses=_PAGE,
)
async def show_page(services: ServicesDep, service: Service = None, weeks: Weeks = 12) -> HTMLResponse:
    """Return the same as one HTML file with a picture, which needs nothing from elsewhere."""
    now = services.now()
    found = await services.database.run(lambda conn: resilience.scores(conn, now, weeks, service))
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return HTMLResponse(resilience_html(found, now), headers={"Content-Security-Policy": policy})


def _service(one: ServiceScore) -> ServiceScoreOut:
    return ServiceScoreOut(
        service=one.service,
        score=round(one.score, 1),
        coverage_percent=round(one.coverage, 1),
        cells=[_cell(cell) for cell in one.cells],
        never_tested=list(one.never),
        trend=[ScorePointOut(at=point.at, score=round(point.score, 1)) for point in one.trend],
    )


def _cell(cell: Cell) -> ScoreCellOut:
    return ScoreCellOut(
        type=cell.type,
        weight=cell.weight,
        state=cell.state,
        credit=round(cell.credit, 3),
        magnitude=round(cell.magnitude, 3),
        fails_at=None if cell.fails_at is None else round(cell.fails_at, 3),
        tested_at=cell.at,
        run=cell.run or None,
        without_verdict=cell.without_verdict,
    )
