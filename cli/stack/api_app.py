"""The API for `serve`: its settings come from the environment."""

import os

from fastapi import FastAPI

from api.app import create_app as create_api
from api.settings import from_environment


def create_app() -> FastAPI:
    """Return the API as the environment describes it."""
    return create_api(from_environment(os.environ))
