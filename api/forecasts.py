"""How good forecasts of starts were."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import Connection

from api.schemas import Out
from api.services import Here
from db import forecasts
from db.forecasts import Calibration
from orchestrator.forecasts import foreseen

router = APIRouter(tags=["queue"])


class ArrivalsOut(Out):
    """Runs that are not submitted yet: forecasts count on as many as came lately."""

    priority: int
    an_hour: float = Field(description="By the last hour, of which the newer part counts more")


class CalibrationOut(Out):
    """How good the first forecasts of one pool were. Shares are from 0 to 1, losses and errors in seconds."""

    pool: str
    number: int = Field(description="Runs that started and had been told when")
    before_p50: float = Field(description="Share that started no later than first told; 0.5 would be perfect")
    before_p90: float = Field(description="Share that started no later than the later time told; 0.9 would be perfect")
    loss_p50: float = Field(description="Mean pinball loss")
    loss_p90: float = Field(description="Mean pinball loss")
    median_error: float = Field(description="Median distance between the start and the time first told")
    arrivals: list[ArrivalsOut] = Field(description="Who is foreseen; those of higher priority put others off")


class CalibrationList(Out):
    """How good forecasts were, by pool; one without any is left out."""

    days: int
    pools: list[CalibrationOut]


@router.get("/forecasts", summary="How good forecasts of starts were")
async def calibration(
    services: Here, days: Annotated[int, Query(ge=1, le=90, description="How far back to look")] = 7
) -> CalibrationList:
    """Say how often runs started before the time that they were first told, and how far off that was."""

    def read(conn: Connection) -> list[CalibrationOut]:
        now = services.now()
        return [
            _calibration(found, foreseen(conn, found.pool, now)) for found in forecasts.calibration(conn, now, days)
        ]

    return CalibrationList(days=days, pools=await services.database.run(read))


def _calibration(found: Calibration, coming: dict[int, float]) -> CalibrationOut:
    arrivals = [ArrivalsOut(priority=priority, an_hour=round(rate, 1)) for priority, rate in coming.items()]
    return CalibrationOut(**asdict(found), arrivals=arrivals)
