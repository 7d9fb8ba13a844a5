"""GET /health and GET /live, which need no API key."""

from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, Response

from api.schemas import Health, Live
from api.services import ServicesDep
from db import workers
from db.errors import UnavailableError

router = APIRouter(tags=["system"])


@router.get("/health", summary="Say whether this process can serve requests", responses={503: {"model": Health}})
async def health(services: ServicesDep, response: Response) -> Health:
    """Return 200 if the database can be reached, else 503.

    The status is `degraded` while no worker works: requests are served, and nothing that they submit is started.
    """
    try:
        working = await services.database.run(workers.working)
    except UnavailableError:
        response.status_code = 503
        return Health(status="degraded", database=False, workers=0, version=_version())
    return Health(status="ok" if working else "degraded", database=True, workers=working, version=_version())


@router.get("/live", summary="Say that this process answers")
async def live() -> Live:
    """Return 200 without asking anything else: a supervisor must not restart the API because the database is away."""
    return Live(live=True)


def _version() -> str:
    try:
        return version("assay")
    except PackageNotFoundError:
        return "unknown"
