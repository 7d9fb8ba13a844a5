"""GET /forecasts: the calibration of the forecasts of starts."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import Connection

from api.schemas import Out
from api.services import ServicesDep
from db import forecasts
from db.forecasts import Calibration
from orchestrator.forecasts import foreseen

router = APIRouter(tags=["queue"])


class ArrivalsOut(Out):
    """Expected arrivals: runs that are not submitted yet. Forecasts include them at their recent rate."""

    priority: int
    an_hour: float = Field(description="Rate over the last hour; newer arrivals have more weight")


class CalibrationOut(Out):
    """The calibration of the first forecasts in one pool. Shares are from 0 to 1, losses and errors in seconds."""

    pool: str
    number: int = Field(description="Number of started runs that had a forecast")
    before_p50: float = Field(description="Share of runs that started no later than the first p50; 0.5 is ideal")
    before_p90: float = Field(description="Share of runs that started no later than the first p90; 0.9 is ideal")
    loss_p50: float = Field(description="Mean pinball loss of p50")
    loss_p90: float = Field(description="Mean pinball loss of p90")
    median_error: float = Field(description="Median distance between the start and the first p50")
    arrivals: list[ArrivalsOut] = Field(
        description="Expected arrivals by priority; those of a higher priority delay other runs"
    )


class CalibrationList(Out):
    """The calibration of forecasts by pool. Pools without forecasts are left out."""

    days: int
    pools: list[CalibrationOut]


@router.get("/forecasts", summary="Show how good the forecasts of starts were")
async def calibration(
    services: ServicesDep, days: Annotated[int, Query(ge=1, le=90, description="Number of days to look back")] = 7
) -> CalibrationList:
    """Return how often runs started before their forecast times, and how large the errors were."""

    def read(conn: Connection) -> list[CalibrationOut]:
        now = services.now()
        return [
            _calibration(found, foreseen(conn, found.pool, now)) for found in forecasts.calibration(conn, now, days)
        ]

    return CalibrationList(days=days, pools=await services.database.run(read))


def _calibration(found: Calibration, expected: dict[int, float]) -> CalibrationOut:
    arrivals = [ArrivalsOut(priority=priority, an_hour=round(rate, 1)) for priority, rate in expected.items()]
    return CalibrationOut(**asdict(found), arrivals=arrivals)
