"""The API and the worker as parts of the stack."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cli.stack.parts import Program, answers

PREFERRED_API_PORT = 4300


def api_url(port: int) -> str:
    """Return the address of the API."""
    return f"http://127.0.0.1:{port}"


def api(environment: Mapping[str, str], port: int, log: Path) -> Program:
    """Return the API server as a program to keep alive."""
    return Program(
        name="api",
        title="API",
        command=(sys.executable, "-m", "api"),
        environment={**environment, "ASSAY_API_HOST": "127.0.0.1", "ASSAY_API_PORT": str(port)},
        log=log,
        healthy=lambda: answers(f"{api_url(port)}/health"),
        patience=5.0,
    )


def worker(environment: Mapping[str, str], signed_on: Callable[[], bool], log: Path) -> Program:
    """Return the worker as a program to keep alive. It ends in order when asked to, and leaves its tests running."""
    return Program(
        name="worker",
        title="worker",
        command=(sys.executable, "-m", "flows.worker_main"),
        environment=environment,
        log=log,
        healthy=signed_on,
        patience=15.0,
    )
