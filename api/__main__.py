"""Run the API process: `python -m api`. `assay up` passes the settings as environment variables."""

import os
import sys

import uvicorn

from api.app import create_app
from api.settings import from_environment
from model.problems import InvalidError


def main() -> None:
    """Serve until SIGTERM. Log streams that are open then are closed after a second."""
    os.umask(0o077)  # what the API stores is readable by its owner only
    try:
        settings = from_environment(os.environ)
    except InvalidError as error:
        sys.exit(f"the API cannot start: {error}")
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level="info",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
