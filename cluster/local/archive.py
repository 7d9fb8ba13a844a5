"""Downloads the archive that a request names: https only, checked addresses, no redirects, no more than a limit.

The connection goes to an address that was checked, under the name of the host: so the name cannot mean another address
a moment later. The caller compares the digest and unpacks.
"""

import http.client
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, urlsplit

from cluster import addresses
from cluster.local.guarded_command import StoppedError, never
from cluster.local.unreachable import HostAwayError

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0
PIECE = 2**18
OK, BUSY, SERVER_ERRORS = 200, 429, 500


class ArchiveError(ValueError):
    """The archive cannot be had, or may not be. The message is for the author of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What may be downloaded. `allowed_hosts` are private hosts, `ca_file` holds their certificate authority."""

    largest: int
    allowed_hosts: frozenset[str] = frozenset()
    ca_file: Path | None = None
    stopped: Callable[[], bool] = never


class PinnedConnection(http.client.HTTPSConnection):
    """A connection to one of the addresses that were checked."""

    def __init__(self, host: str, port: int, found: tuple[addresses.Address, ...], context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=CONNECT_SECONDS, context=context)
        self._found = found
        self._tls = context

    def connect(self) -> None:
        """Connect to the first address that answers. Raises: OSError."""
        failed: OSError | None = None
        for address in self._found:
            try:
                plain = socket.create_connection((str(address), self.port), CONNECT_SECONDS)
            except OSError as error:
                failed = error
                continue
            plain.settimeout(SILENCE_SECONDS)
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
            return
        raise failed or OSError("it has no address")


def download(url: str, target: BinaryIO, policy: Policy) -> None:
    """Write the archive at `url` to `target`.

    Raises: ArchiveError if the address is refused, the host answers with no, or the archive is too large; HostAwayError
    if the host does not answer; StoppedError.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        found = addresses.resolve(host, port, policy.allowed_hosts)
    except addresses.NoAnswerError as error:
        raise HostAwayError(f"url: {error}") from error
    except addresses.AddressError as error:
        raise ArchiveError(f"url: {error}") from error
    connection = PinnedConnection(host, port, found, ssl.create_default_context(cafile=policy.ca_file))
    try:
        _receive(connection, parts, target, policy)
    except ssl.SSLCertVerificationError as error:
        raise ArchiveError(f"url: the certificate of {host} is not trusted: {error.verify_message}") from error
    except (OSError, http.client.HTTPException) as error:
        raise HostAwayError(f"url: {host} does not answer: {error}") from error
    finally:
        connection.close()


def _receive(connection: PinnedConnection, parts: SplitResult, target: BinaryIO, policy: Policy) -> None:
    connection.request("GET", parts.path, headers={"Accept": "*/*", "Accept-Encoding": "identity"})
    answer = connection.getresponse()
    if answer.status >= SERVER_ERRORS or answer.status == BUSY:
        raise HostAwayError(f"url: {parts.hostname} answers with {answer.status} {answer.reason}")
    if answer.status != OK:
        raise ArchiveError(f"url: {parts.hostname} answers with {answer.status} {answer.reason}")
    size = 0
    while piece := answer.read(PIECE):
        if policy.stopped():
            raise StoppedError
        size += len(piece)
        if size > policy.largest:
            raise ArchiveError(f"url: the archive is larger than {policy.largest} bytes")
        target.write(piece)
