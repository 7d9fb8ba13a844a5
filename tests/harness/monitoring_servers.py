"""Servers of the Prometheus family on loopback: a port for one, and the moment when it answers."""

import socket
import subprocess
import time
from pathlib import Path

import httpx

START_SECONDS = 60.0


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server says that it is ready. If it ends before, the error has the end of its log."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/-/ready", timeout=1, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)  # it tells nobody when it is ready
    raise AssertionError(log.read_text(errors="replace")[-2000:])
