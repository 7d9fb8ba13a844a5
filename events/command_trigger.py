"""A trigger that runs a program: under Assay it is a process of the test, with its limits, and ends with it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import JsonValue

from events.brokers.broker import Broker
from events.event import Milliseconds
from events.triggers import TriggerRefusedError, TriggerUnfitError

BROKER = "ASSAY_BROKER"
"""The variable that tells the program the addresses of the broker, as librdkafka wants them."""
MOST_OUTPUT = 1_000_000
"""Bytes of output that become a part of the outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandTrigger:
    """Runs `argv` in `folder` and waits for its end. What it writes to stdout is the outcome, as JSON if it is that.

    `python` is the interpreter that runs the test.
    """

    argv: tuple[str, ...]
    folder: Path | None = None
    timeout_ms: Milliseconds = 30_000

    @property
    def described(self) -> str:
        """Return what it does, in words. Arguments may hold a password, so they are left out."""
        return f"the command {self.argv[0]}"

    def fire(self, broker: Broker) -> JsonValue:
        """Run it. An exit code other than 0 and a timeout are refusals."""
        with tempfile.TemporaryFile() as output:
            code = self._run(broker, output)
            output.seek(0)
            said = output.read(MOST_OUTPUT).decode(errors="replace")
        if code:
            raise TriggerRefusedError(f"{self.argv[0]} ended with exit code {code}{_last_line(said)}")
        return {"payload": None, "output": _json(said)}

    def _run(self, broker: Broker, output: IO[bytes]) -> int:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        surroundings = {**os.environ, "PATH": path, BROKER: broker.servers}
        try:
            process = subprocess.Popen(
                self.argv, cwd=self.folder, env=surroundings, stdout=output, stdin=subprocess.DEVNULL, process_group=0
            )
        except (OSError, ValueError) as error:
            raise TriggerUnfitError(f"{self.argv[0]} cannot be started: {error}") from error
        try:
            return process.wait(self.timeout_ms / 1000)
        except subprocess.TimeoutExpired as error:
            raise TriggerRefusedError(f"{self.argv[0]} did not end within {self.timeout_ms:g} ms") from error
        finally:
            with suppress(ProcessLookupError):  # the group has ended
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _json(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return f": {lines[-1][:200]}" if lines else ""
