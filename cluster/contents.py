"""Packed folders that were sent, as files named by their digest. No path that a client names is ever opened."""

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import BinaryIO

from model.ports import DigestError, UnknownContentError

_DIGEST = re.compile(r"[0-9a-f]{64}")


class ContentStore:
    """Contents as files in a folder: the port `model.ports.Contents`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, sha256: str) -> bool:
        """Return whether content of this digest is here."""
        return _DIGEST.fullmatch(sha256) is not None and self._path(sha256).is_file()

    def size(self, sha256: str) -> int:
        """Return its size in bytes. Raises: UnknownContentError."""
        try:
            return self._path(sha256).stat().st_size
        except FileNotFoundError as error:
            raise UnknownContentError(sha256) from error

    def receive(self, sha256: str) -> "IncomingFile":
        """Begin to receive content that is said to have this digest."""
        return IncomingFile(self._path(sha256))

    def open(self, sha256: str) -> BinaryIO:
        """Open content for reading, at any position. Raises: UnknownContentError."""
        try:
            return self._path(sha256).open("rb")
        except FileNotFoundError as error:
            raise UnknownContentError(sha256) from error

    def _path(self, sha256: str) -> Path:
        if not _DIGEST.fullmatch(sha256):
            raise UnknownContentError(sha256[:100])
        return self._folder / sha256


class IncomingFile:
    """Content on its way into a folder. It gets its name only when it is whole and on the disk."""

    def __init__(self, target: Path) -> None:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix="incoming-")
        self._target = target
        self._draft = Path(name)
        self._file = os.fdopen(descriptor, "wb")
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, piece: bytes) -> None:
        """Take the next piece."""
        self._digest.update(piece)
        self._size += len(piece)
        self._file.write(piece)

    def keep(self) -> int:
        """Keep all pieces under their digest, and return how many bytes they are. Raises: DigestError."""
        found = self._digest.hexdigest()
        if found != self._target.name:
            self.discard()
            raise DigestError(self._target.name, found)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._draft.replace(self._target)
        return self._size

    def discard(self) -> None:
        """Forget what was received and not kept."""
        self._file.close()
        self._draft.unlink(missing_ok=True)
