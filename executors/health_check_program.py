"""The program of health checks of type command: `health_check_program.py FILE`. It makes them until it is stopped.

FILE is a JSON list of checks with `name`, `command`, `interval`, `timeout`, and perhaps the limits `above` and `below`.
Each look is a line of JSON on its output: `check`, `at`, `healthy`, `detail`. Only the standard library is used, since
it runs wherever tests run, and never in a worker.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

LAST_WORDS = 300
"""Bytes of the last output of a command that are told."""
PRINTING = threading.Lock()


def main(file: str) -> None:
    """Make all checks, each in a thread of its own. It never returns."""
    checks = json.loads(Path(file).read_text(encoding="utf-8"))
    threads = [threading.Thread(target=look_for_ever, args=(check,)) for check in checks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def look_for_ever(check: dict[str, Any]) -> None:
    """Look once in each interval. A look that takes longer delays the next one."""
    while True:
        began, at = time.monotonic(), datetime.now(UTC)  # noqa: TID251  a program of its own
        healthy, detail = look(check)
        line = json.dumps({"check": check["name"], "at": at.isoformat(), "healthy": healthy, "detail": detail})
        with PRINTING:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        time.sleep(max(0.0, began + check["interval"] - time.monotonic()))


def look(check: dict[str, Any]) -> tuple[bool, str]:
    """Run the command once; return whether that is healthy, and why."""
    with tempfile.TemporaryFile() as output:
        try:
            code = run(check["command"], check["timeout"], output)
        except OSError as failed:
            return False, f"cannot be run: {failed}"
        said = last_words(output)
    if code is None:
        return False, f"took longer than {check['timeout']:g} s"
    if code != 0:
        return False, f"ended with exit code {code}: {said}"
    return within(check, said)


def run(command: list[str], timeout: float, output: IO[bytes]) -> int | None:
    """Return the exit code of a command, None if it took too long. Nothing of its process group is left."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_words(output: IO[bytes]) -> str:
    """Return the end of what a command printed."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - LAST_WORDS))
    return output.read().decode(errors="replace").strip()


def within(check: dict[str, Any], said: str) -> tuple[bool, str]:
    """Compare the last line with the limits, if the check has any. What is no number is a miss."""
    above, below = check.get("above"), check.get("below")
    if above is None and below is None:
        return True, said
    last = (said.splitlines() or [""])[-1]
    try:
        value = float(last)
    except ValueError:
        return False, f"printed no number: {last}"
    over = (above is not None and not value <= above) or (below is not None and not value >= below)
    return not over, f"the value is {value:g}"


if __name__ == "__main__":
    main(sys.argv[1])
