"""The factory of the API for `cli.stack.serve`."""

import os
import sys

from fastapi import FastAPI

from api.app import create_app as create_api
from api.settings import from_environment
from model.problems import InvalidError


def create_app() -> FastAPI:
    """Return the API with the settings of the environment."""
    try:
        settings = from_environment(os.environ)
    except InvalidError as error:
        sys.exit(f"the API cannot start: {error}")
    return create_api(settings)
