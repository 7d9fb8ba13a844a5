"""GET /stats and /flaky: counts over the runs of the last days."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from api import operations_schemas
from api.services import Here
from db import statistics

router = APIRouter(tags=["statistics"])


@router.get("/stats", summary="The runs of the last 24 hours")
async def stats(services: Here) -> operations_schemas.Statistics:
    """Count the runs by tool."""
    now = services.now()
    found = await services.database.run(lambda conn: statistics.last_day(conn, now))
    return operations_schemas.Statistics(
        since=now - timedelta(hours=24), types=[operations_schemas.TypeStatistics.model_validate(row) for row in found]
    )


@router.get("/flaky", summary="Flaky tests")
async def flaky(
    services: Here, days: Annotated[int, Query(ge=1, le=90, description="How far back to look")] = 7
) -> operations_schemas.FlakyList:
    """List the tests that both passed and failed on the same version of their definition."""
    found = await services.database.run(lambda conn: statistics.flaky(conn, services.now(), days))
    return operations_schemas.FlakyList(
        days=days, tests=[operations_schemas.FlakyTest.model_validate(row) for row in found]
    )
