"""Prefect's server behind our door: the factory that uvicorn calls."""

from prefect.server.api.server import create_app as create_prefect_app
from prefect.settings import get_current_settings
from starlette.types import ASGIApp

from cli.stack.origin_guard import closed


def create_app() -> ASGIApp:
    """Return Prefect's server, closed to all but the origins that its CORS setting names."""
    return closed(create_prefect_app(), get_current_settings().server.api.cors_allowed_origins.split(","))
