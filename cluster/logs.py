"""Stores the log of each run as one file over all its attempts. Workers append to it, the API reads it.

Each byte is appended exactly once, by size alone. A mask keeps the length of a text. So the number of bytes that the
log has of an attempt is the number of bytes taken from its source, and the next append continues there. The size at
which an attempt begins is written down before its first byte. A worker may be killed between any two bytes, and two
workers may append at the same time.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.ids import ExecutionId
from model.mask import NOTHING_SECRET, Mask

WINDOW = 1 << 20


class LogStore:
    """Logs as files in a folder: the port `model.ports.Logs`."""

    def __init__(self, folder: Path, window: int = WINDOW) -> None:
        self._folder = folder
        self._window = window

    def append_from(
        self, source: Path, execution_id: ExecutionId, attempt: int, mask: Mask = NOTHING_SECRET, *, final: bool = False
    ) -> int:
        """Append what `source` has and the log lacks, masked, and return how many bytes that were.

        Bytes that may be the beginning of a secret wait for what follows; `final` says that nothing does. Only the
        latest attempt appends: for an older one nothing happens.
        """
        try:
            data = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return 0
        try:
            with self._appending(execution_id) as sink:
                base = self._base(execution_id, attempt, os.fstat(sink).st_size)
                return 0 if base is None else self._append(data, sink, base, mask, final)
        finally:
            os.close(data)

    def read(self, execution_id: ExecutionId, offset: int, limit: int) -> bytes:
        """Return at most `limit` bytes from `offset` on; empty where there is nothing (yet)."""
        try:
            with self._log(execution_id).open("rb") as file:
                file.seek(offset)
                return file.read(limit)
        except FileNotFoundError:
            return b""

    def size(self, execution_id: ExecutionId) -> int:
        """Return the bytes that the log has so far."""
        try:
            return self._log(execution_id).stat().st_size
        except FileNotFoundError:
            return 0

    def _log(self, execution_id: ExecutionId) -> Path:
        return self._folder / f"{execution_id}.log"

    @contextmanager
    def _appending(self, execution_id: ExecutionId) -> Iterator[int]:
        """Open the log for writing, under a lock that only one process can hold."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        sink = os.open(self._log(execution_id), flags, 0o600)
        try:
            fcntl.flock(sink, fcntl.LOCK_EX)
            yield sink
        finally:
            os.close(sink)

    def _base(self, execution_id: ExecutionId, attempt: int, size: int) -> int | None:
        """Return the size at which the attempt begins; None if a later one has begun already."""
        path = self._folder / f"{execution_id}.bases"
        bases: dict[str, int] = json.loads(path.read_bytes()) if path.exists() else {}
        if any(int(number) > attempt for number in bases):
            return None
        if str(attempt) not in bases:
            bases[str(attempt)] = size
            draft = path.with_suffix(".tmp")
            draft.write_text(json.dumps(bases))
            draft.replace(path)
        return bases[str(attempt)]

    def _append(self, data: int, sink: int, base: int, mask: Mask, final: bool) -> int:  # noqa: FBT001
        begun = taken = os.fstat(sink).st_size - base
        while True:
            before = max(0, taken - mask.reach)
            length = taken - before + max(self._window, 2 * mask.reach)
            window = os.pread(data, length, before)
            at_end = len(window) < length
            masked = mask.part(window, taken - before, final=final and at_end)
            _write(sink, masked)
            taken += len(masked)
            if at_end:
                return taken - begun


def _write(sink: int, data: bytes) -> None:
    while data:
        data = data[os.write(sink, data) :]
