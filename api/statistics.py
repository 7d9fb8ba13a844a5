"""GET /stats and GET /flaky: statistics of the runs of the last days."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from api import operations_schemas
from api.services import ServicesDep
from db import statistics

router = APIRouter(tags=["statistics"])


@router.get("/stats", summary="Count the runs of the last 24 hours")
async def stats(services: ServicesDep) -> operations_schemas.Statistics:
    """Return the number of runs by tool and status."""
    now = services.now()
    found = await services.database.run(lambda conn: statistics.last_day(conn, now))
    return operations_schemas.Statistics(
        since=now - timedelta(hours=24), types=[operations_schemas.TypeStatistics.model_validate(row) for row in found]
    )


@router.get("/flaky", summary="List flaky tests")
async def flaky(
    services: ServicesDep, days: Annotated[int, Query(ge=1, le=90, description="Number of days to look back")] = 7
) -> operations_schemas.FlakyList:
    """Return the tests that both passed and failed with the same version of their definition, on the same commit."""
    found = await services.database.run(lambda conn: statistics.flaky(conn, services.now(), days))
    return operations_schemas.FlakyList(
        days=days, tests=[operations_schemas.FlakyTest.model_validate(row) for row in found]
    )
