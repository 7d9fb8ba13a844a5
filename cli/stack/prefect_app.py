"""The factory of Prefect's server for `cli.stack.serve`, with the origin guard in front."""

from pathlib import Path

from prefect.server.api.server import create_app as create_prefect_app
from prefect.settings import get_current_settings
from starlette.types import ASGIApp

from cli.stack.origin_guard import closed


def create_app() -> ASGIApp:
    """Return Prefect's server, which refuses all origins but those in its CORS setting."""
    settings = get_current_settings().server
    app = create_prefect_app()
    _close_folders(settings.ui.static_directory)
    return closed(app, settings.api.cors_allowed_origins.split(","))


def _close_folders(pages: str | None) -> None:
    """Close the folders of Prefect's pages to other users. They are copied with the modes of the installed ones."""
    for folder in Path(pages).rglob("*") if pages else ():
        if folder.is_dir():
            folder.chmod(0o700)
