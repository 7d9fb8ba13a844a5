"""Watches the run of an experiment until it has ended: a line for each step, and how far it is on a terminal."""

import sys
import time
from typing import TYPE_CHECKING, Any

from cli.output import away, say
from cli.screen import QUIET_SECONDS
from cli.watch import INTERVAL, detachable, patiently

if TYPE_CHECKING:
    from cli.client import Client  # httpx loads slowly

ENDED = frozenset({"completed", "aborted", "failed"})
CLEAR = "\r\x1b[K"


def watch_execution(client: "Client", execution: str) -> Any:
    """Show a run until it has ended, and return its last state. To stop watching does not abort it."""
    told, said_at = "", time.monotonic()
    with detachable(execution):
        while True:
            answer = patiently(lambda: client.get(f"/chaos/executions/{execution}"))
            if answer["status"] in ENDED:
                _draw("")
                return answer
            where = _where(answer)
            if where != told or (not sys.stderr.isatty() and time.monotonic() - said_at > QUIET_SECONDS):
                _draw("")
                say(f"{answer['shortId']}  {where}  {_seen(answer)}".rstrip())
                told, said_at = where, time.monotonic()
            _draw(f"{answer['shortId']}  {where}  {_seen(answer)}")
            time.sleep(INTERVAL)


def _where(answer: Any) -> str:
    """Return the step of a run, or why it waits."""
    if answer["status"] == "scheduled":
        return f"waits: {answer['waitReason']}" if answer["waitReason"] else "waits"
    return str((answer["progress"] or {}).get("step", "begins"))


def _seen(answer: Any) -> str:
    """Return what a run has seen, and how much of its step is left."""
    progress = answer["progress"] or {}
    words = [f"{progress[key]} {key}" for key in ("requests", "looks", "readings") if progress.get(key)]
    if progress.get("stepEndsAt"):
        words.append(f"{away(progress['stepEndsAt'])} left")
    return ", ".join(words)


def _draw(line: str) -> None:
    """Draw the last line of a terminal anew."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{CLEAR}{line}")
        sys.stderr.flush()
