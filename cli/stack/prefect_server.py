"""Prefect's server as a part of the stack: one process on the loopback address, with its own database."""

import socket
from collections.abc import Mapping
from pathlib import Path

from cli.stack.heartbeat import responding
from cli.stack.parts import Program, answers, serving
from cli.stack.ports import port_of

PREFERRED_PORT = 4200


def url(port: int) -> str:
    """Return the address of the UI."""
    return f"http://127.0.0.1:{port}"


def client_environment(port: int, state: Path, credential: str) -> dict[str, str]:
    """Return the variables that Prefect's client needs, in the worker and in `prefect` itself."""
    return {
        "PREFECT_API_URL": f"{url(port)}/api",
        "PREFECT_API_AUTH_STRING": credential,
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }


def server_environment(client: Mapping[str, str], port: int, state: Path, database: str) -> dict[str, str]:
    """Return the server's settings. It asks for the credential that `client` sends.

    The connection pool is larger than the default of 5 + 10, with which 17 flows at once run into time-outs. Statements
    may take 30 s instead of 10, since the machine is busy with tests. The UI's files are copied into the state folder,
    not into `.venv`. Logs are streamed, so that `prefect deployment run --watch` shows why a run was refused.
    """
    return {
        **client,
        "PREFECT_SERVER_API_AUTH_STRING": client["PREFECT_API_AUTH_STRING"],
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
        "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE": "10",
        "PREFECT_SERVER_DATABASE_SQLALCHEMY_MAX_OVERFLOW": "20",
        "PREFECT_SERVER_DATABASE_TIMEOUT": "30",
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{port},http://localhost:{port}",
        "PREFECT_SERVER_UI_API_URL": f"{url(port)}/api",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(state / "prefect" / "ui"),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "true",
        "PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED": "true",
    }


def program(environment: Mapping[str, str], listener: socket.socket, log: Path) -> Program:
    """Return the server as a program to keep alive."""
    return Program(
        name="prefect",
        title="Prefect server",
        command=serving(listener, "cli.stack.prefect_app:create_app"),
        environment=environment,
        log=log,
        healthy=lambda: answers(f"{url(port_of(listener))}/api/health"),
        patience=8.0,
        listener=listener,
        beats=responding(f"{url(port_of(listener))}/api/health"),
    )
