"""Writes what a test prints to a file, within limits. The shim imports this, so it imports `os` and nothing else."""

import os

CHUNK = 65_536
NOTE_ROOM = 1_024
"""Bytes of the limit that are reserved for notes of the shim."""


class Log:
    """The file with the test's output. Long lines and the whole are cut with a note; memory use stays constant."""

    def __init__(self, path: str, limit: int, line_limit: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._limit = limit
        self._line_limit = line_limit
        self._line = 0
        self._written = 0
        self._full = False
        self.truncated = False

    @property
    def chunk(self) -> int:
        """Bytes that one call of `take` may bring: at most a line, so that only the first line can be too long."""
        return min(CHUNK, self._line_limit)

    def take(self, chunk: bytes) -> None:
        """Append what the test printed."""
        end = chunk.find(b"\n")
        head, rest = (chunk, b"") if end < 0 else (chunk[:end], chunk[end:])
        room = self._line_limit - self._line
        if len(head) > room >= 0:
            self.truncated = True
            head = head[:room] + f" [assay: line cut at {self._line_limit} bytes]".encode()
        elif room < 0:
            head = b""
        self._line = len(rest) - rest.rfind(b"\n") - 1 if rest else self._line + len(chunk)
        self._put(head + rest)

    def note(self, text: str) -> None:
        """Append a line of the shim itself."""
        lead = b"\n" if self._line else b""
        self._line = 0
        self._write(lead + f"[assay: {text}]\n".encode()[: NOTE_ROOM // 4])

    def _put(self, data: bytes) -> None:
        if self._full:
            return
        room = max(0, self._limit - NOTE_ROOM - self._written)
        self._write(data[:room])
        if len(data) > room:
            self._full = self.truncated = True
            self._line = 1
            self.note(f"output cut at {self._limit} bytes, the rest is not kept")

    def _write(self, data: bytes) -> None:
        try:
            while data:
                done = os.write(self._file, data)
                self._written += done
                data = data[done:]
        except OSError:  # a full disk costs the log, not the run
            self._full = self.truncated = True
