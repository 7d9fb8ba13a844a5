"""The API and the worker as parts of the stack."""

import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cli.stack.heartbeat import responding, touching
from cli.stack.parts import Program, answers, serving
from cli.stack.ports import port_of

PREFERRED_API_PORT = 4300


def api_url(port: int) -> str:
    """Return the address of the API."""
    return f"http://127.0.0.1:{port}"


def api(environment: Mapping[str, str], listener: socket.socket, log: Path) -> Program:
    """Return the API server as a program to keep alive."""
    return Program(
        name="api",
        title="API",
        command=serving(listener, "cli.stack.api_app:create_app"),
        environment=environment,
        log=log,
        healthy=lambda: answers(f"{api_url(port_of(listener))}/health"),
        patience=5.0,
        listener=listener,
        beats=responding(f"{api_url(port_of(listener))}/live"),
    )


def worker(environment: Mapping[str, str], signed_on: Callable[[], bool], log: Path, heartbeat: Path) -> Program:
    """Return the worker as a program to keep alive. After SIGTERM it ends and leaves its tests running."""
    return Program(
        name="worker",
        title="worker",
        command=(sys.executable, "-m", "flows.worker_main"),
        environment=environment,
        log=log,
        healthy=signed_on,
        patience=15.0,
        beats=touching(heartbeat),
    )
