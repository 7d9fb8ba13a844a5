"""Connects a command to the API that it talks to."""

from typing import TYPE_CHECKING

from cli.server_discovery import find_server

if TYPE_CHECKING:
    from cli.client import Client


def connect(seconds: float | None = None) -> "Client":
    """Return a client of the API that the environment or the nearest state folder names.

    `seconds` is the longest wait for one answer, where the usual one is too long.
    """
    from cli.client import Client  # noqa: PLC0415  httpx loads slowly, and not every command needs it

    return Client(find_server(), seconds)


def names_of_secrets() -> frozenset[str]:
    """Return the names of the secrets that are set. Raises: CommandError without a server."""
    with connect() as client:
        return frozenset(each["name"] for each in client.get("/secrets")["secrets"])
