"""How good forecasts of starts were."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import Connection

from api.schemas import Out
from api.services import Here
from db import forecasts
from db.forecasts import Calibration

router = APIRouter(tags=["house"])


class CalibrationOut(Out):
    """How good the first forecasts of one pool were. Shares are from 0 to 1, losses and errors in seconds."""

    pool: str
    number: int = Field(description="Runs that started and had been told when")
    before_p50: float = Field(description="Share that started no later than first told; 0.5 would be perfect")
    before_p90: float = Field(description="Share that started no later than the later time told; 0.9 would be perfect")
    loss_p50: float = Field(description="Mean pinball loss")
    loss_p90: float = Field(description="Mean pinball loss")
    median_error: float = Field(description="Median distance between the start and the time first told")


class CalibrationList(Out):
    """How good forecasts were, by pool; one without any is left out."""

    days: int
    pools: list[CalibrationOut]


@router.get("/forecasts", summary="How good forecasts of starts were")
async def calibration(
    services: Here, days: Annotated[int, Query(ge=1, le=90, description="How far back to look")] = 7
) -> CalibrationList:
    """Say how often runs started before the time that they were first told, and how far off that was."""

    def read(conn: Connection) -> list[Calibration]:
        return forecasts.calibration(conn, services.now(), days)

    found = await services.database.run(read)
    return CalibrationList(days=days, pools=[CalibrationOut.model_validate(row) for row in found])
