"""GET /health, which needs no API key."""

from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, Response
from sqlalchemy import text

from api.schemas import Health
from api.services import ServicesDep
from db.errors import UnavailableError

router = APIRouter(tags=["system"])


@router.get("/health", summary="Say whether this process can serve requests", responses={503: {"model": Health}})
async def health(services: ServicesDep, response: Response) -> Health:
    """Return 200 if the database can be reached, else 503."""
    try:
        await services.database.run(lambda conn: conn.execute(text("SELECT 1")).scalar())
    except UnavailableError:
        response.status_code = 503
        return Health(status="degraded", database=False, version=_version())
    return Health(status="ok", database=True, version=_version())


def _version() -> str:
    try:
        return version("assay")
    except PackageNotFoundError:
        return "unknown"
