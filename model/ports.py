"""The ports to what is kept beside the database: logs of runs, files that they leave, packed content, secret values.

Only their shape is here, so that no package knows another one's store; the wiring chooses. Every implementation passes
the suite of its port in `tests/contract`.
"""

from pathlib import Path
from typing import BinaryIO, Protocol

from model.ids import ExecutionId
from model.mask import NOTHING_SECRET, Mask
from model.result import Artifact


class ArtifactError(LookupError):
    """There is no such artifact here. It may have been removed by hand."""


class DigestError(ValueError):
    """What was sent has another digest than its sender said. It must be sent again, or under its own digest."""

    def __init__(self, sha256: str, found: str) -> None:
        super().__init__(f"the body's SHA-256 is {found}, not {sha256}")
        self.found = found


class UnknownContentError(LookupError):
    """Content of this digest was never sent here. Send it first."""


class SecretError(ValueError):
    """A secret cannot be had. Whoever set its reference must mend it: `assay secret set`."""


class Logs(Protocol):
    """One log a run, over all its attempts. Several processes append and read at the same time."""

    def append_from(
        self, source: Path, execution_id: ExecutionId, attempt: int, mask: Mask = NOTHING_SECRET, *, final: bool = False
    ) -> int:
        """Append what `source` has and the log lacks, masked, and return how many bytes that were.

        Each byte once, whoever is killed wherever. Bytes that may be the beginning of a secret wait for what follows;
        `final` says that nothing does. Only the latest attempt appends: for an older one nothing happens.
        """
        ...

    def read(self, execution_id: ExecutionId, offset: int, limit: int) -> bytes:
        """Return at most `limit` bytes from `offset` on; empty where there is nothing (yet)."""
        ...

    def size(self, execution_id: ExecutionId) -> int:
        """Return the bytes that the log has so far."""
        ...


class Artifacts(Protocol):
    """The files that runs leave. A test wrote them, so nothing about them is believed."""

    def keep(
        self, execution_id: ExecutionId, attempt: int, results: Path, mask: Mask = NOTHING_SECRET
    ) -> list[Artifact]:
        """Copy what `results` holds, masked, and return it in order of name. The same call again does the same.

        Only regular files, within limits. What is left out is told in one more artifact.
        """
        ...

    def path(self, uri: str) -> Path:
        """Return a file of this machine with what a URI names. Raises: ArtifactError if there is none of ours."""
        ...

    def open(self, uri: str) -> BinaryIO:
        """Open what a URI names, for reading. Raises: ArtifactError like `path`."""
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
    """Where the values of secrets are. The database knows their references only."""

    def resolve(self, reference: str) -> str:
        """Return the value behind a reference. Raises: SecretError if there is none; it never holds a value."""
        ...
