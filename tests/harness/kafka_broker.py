"""A real Kafka broker of this machine, for tests that kill it: the script of `make kafka` in a folder of the test."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

BROKER = Path(__file__).parents[2] / "deploy" / "kafka" / "broker.sh"
PATIENCE = 60.0
"""Seconds until a broker is ready: only how long a failing test takes."""


def jars() -> Path:
    """Return the folder with the jars of a broker. Without one the test is skipped."""
    folder = os.environ.get("ASSAY_KAFKA_FOLDER")
    if not folder or not (Path(folder) / "libs").is_dir():
        pytest.skip("no Kafka of this machine: run `make kafka` once, and set ASSAY_KAFKA_FOLDER to its folder")
    return Path(folder) / "libs"


class KafkaProcess:
    """A broker that can be killed and started again on the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "libs").symlink_to(jars())
        self.port = _free_pair_of_ports()
        self.servers = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the broker, and wait until it answers."""
        self._process = subprocess.Popen(["/bin/sh", str(BROKER), str(self.folder), str(self.port)])
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "broker.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the broker is not ready"

    def kill(self) -> None:
        """Kill the broker without a warning."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            found = AdminClient({"bootstrap.servers": self.servers, "log_level": 0}).list_topics(timeout=1)
        except KafkaException:
            return False
        return bool(found.brokers)


def _free_pair_of_ports() -> int:
    """Return a port that is free, and the next one too."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            with socket.socket() as second:
                try:
                    second.bind(("127.0.0.1", port + 1))
                except OSError:
                    continue
                return port
