"""The ports of the stores beside the database: logs of runs, artifacts, packed content, and values of secrets.

A port is a protocol. The wiring chooses the implementation, so no package depends on a store. Every implementation
passes the suite of its port in `tests/contract`.
"""

from pathlib import Path
from typing import BinaryIO, Protocol

from model.ids import ExecutionId
from model.mask import NOTHING_SECRET, Mask
from model.result import Artifact


class ArtifactError(LookupError):
    """The artifact is not in the store. Somebody may have removed it by hand."""


class DigestError(ValueError):
    """What was sent has another digest than its sender said. It must be sent again, or under its own digest."""

    def __init__(self, sha256: str, found: str) -> None:
        super().__init__(f"the body's SHA-256 is {found}, not {sha256}")
        self.found = found


class UnknownContentError(LookupError):
    """Content of this digest was never sent here. Send it first."""


class SecretError(ValueError):
    """The value of a secret cannot be read. Its reference must be corrected with `assay secret set`."""


class Logs(Protocol):
    """The store of logs: one log for each run and all its attempts. Several processes append and read at once."""

    def append_from(
        self, source: Path, execution_id: ExecutionId, attempt: int, mask: Mask = NOTHING_SECRET, *, final: bool = False
    ) -> int:
        """Append the masked bytes of `source` that the log lacks, and return their number.

        Each byte is appended once, also if a process is killed at any point. Bytes that may be the beginning of a
        secret are held back until more follow; `final` says that nothing follows. Only the latest attempt appends;
        a call for an older one does nothing.
        """
        ...

    def read(self, execution_id: ExecutionId, offset: int, limit: int) -> bytes:
        """Return at most `limit` bytes from `offset` on; empty where the log has no bytes (yet)."""
        ...

    def size(self, execution_id: ExecutionId) -> int:
        """Return the number of bytes that the log has."""
        ...


class Artifacts(Protocol):
    """The store of files that runs leave. A test wrote them, so they are untrusted."""

    def keep(
        self, execution_id: ExecutionId, attempt: int, results: Path, mask: Mask = NOTHING_SECRET
    ) -> list[Artifact]:
        """Copy the files of `results`, masked, and return them in order of name. Idempotent.

        Only regular files within limits are copied. One more artifact lists the files that were left out.
        """
        ...

    def path(self, uri: str) -> Path:
        """Return a local file with the content of a URI. Raises: ArtifactError if the store does not have it."""
        ...

    def open(self, uri: str) -> BinaryIO:
        """Open the content of a URI for reading. Raises: ArtifactError if the store does not have it."""
        ...


class Incoming(Protocol):
    """Content that is being received. It is known to nobody before `keep`."""

    def write(self, piece: bytes) -> None:
        """Take the next piece."""
        ...

    def keep(self) -> int:
        """Keep all pieces under their digest, and return how many bytes they are. Raises: DigestError."""
        ...

    def discard(self) -> None:
        """Forget what was received and not kept. Harmless after `keep`."""
        ...


class Contents(Protocol):
    """Packed folders that were sent, each under the SHA-256 of its bytes. Many may send the same one at a time."""

    def has(self, sha256: str) -> bool:
        """Return whether content of this digest is here."""
        ...

    def size(self, sha256: str) -> int:
        """Return its size in bytes. Raises: UnknownContentError."""
        ...

    def receive(self, sha256: str) -> Incoming:
        """Begin to receive content that is said to have this digest."""
        ...

    def open(self, sha256: str) -> BinaryIO:
        """Open content for reading, at any position. Its digest was right when it was kept.

        Raises: UnknownContentError.
        """
        ...


class Secrets(Protocol):
    """The store of the values of secrets. The database has only their references."""

    def resolve(self, reference: str) -> str:
        """Return the value of a reference. Raises: SecretError, which never contains a value."""
        ...
