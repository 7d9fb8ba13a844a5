"""Messages of the stack: each line with the seconds since its start, on stderr and in its log."""

import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True, kw_only=True)
class Console:
    """Writes lines for people, from any thread."""

    log: Path | None = None
    quiet: bool = False
    started: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, text: str) -> None:
        """Write one line with the elapsed time before it."""
        self.plain(f"[{self.elapsed():5.1f} s] {text}")

    def plain(self, text: str) -> None:
        """Write lines as they are."""
        with self._lock:
            if not self.quiet:
                try:
                    sys.stderr.write(f"{text}\n")
                    sys.stderr.flush()
                except OSError:  # the terminal was closed; the stack must still end properly
                    self.quiet = True
            if self.log is not None:
                with self.log.open("a") as file:
                    file.write(f"{text}\n")

    def elapsed(self) -> float:
        """Return the seconds since the stack began to start."""
        return time.monotonic() - self.started
