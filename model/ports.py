"""The ports to what is kept beside the database: the logs of runs, the files that they leave, the values of secrets.

Only their shape, so that no room knows another one's store; the wiring chooses. Every implementation passes the suite
of its port in `tests/contract`.
"""

from pathlib import Path
from typing import BinaryIO, Protocol

from model.ids import ExecutionId
from model.mask import NOTHING_SECRET, Mask
from model.result import Artifact


class ArtifactError(LookupError):
    """There is no such artifact here. It may have been removed by hand."""


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


class Secrets(Protocol):
    """Where the values of secrets are. The database knows their references only."""

    def resolve(self, reference: str) -> str:
        """Return the value behind a reference. Raises: SecretError if there is none; it never holds a value."""
        ...
