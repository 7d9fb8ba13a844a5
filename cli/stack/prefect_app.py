"""The factory of Prefect's server for `cli.stack.serve`, with the origin guard in front."""

from prefect.server.api.server import create_app as create_prefect_app
from prefect.settings import get_current_settings
from starlette.types import ASGIApp

from cli.stack.origin_guard import closed


def create_app() -> ASGIApp:
    """Return Prefect's server, which refuses all origins but those in its CORS setting."""
    return closed(create_prefect_app(), get_current_settings().server.api.cors_allowed_origins.split(","))
