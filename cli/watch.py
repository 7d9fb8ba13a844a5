"""Watches runs until they end, over lost connections.

To stop watching never ends a run, and never looks like a success.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Self

from cli.failure import DetachedError, UnreachableError
from cli.output import STATUS_STYLE, away, say, seconds
from model.backoff import Backoff

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from cli.client import Client  # httpx loads slowly, and not every command needs it

INTERVAL = 0.4
PATIENCE = 600.0
"""Seconds without an answer after which the watcher gives up; the run continues."""
BACKOFF = Backoff(first=0.5, longest=10.0)
ECHO = 3
"""Columns that stay free at the right: the terminal writes ^C there, and would otherwise wrap the line."""
TERMINAL = frozenset({"completed", "failed", "cancelled", "timeout", "skipped"})


def patiently(ask: Callable[[], Any]) -> Any:
    """Return what `ask` returns; ask again, with growing pauses, while the server does not answer."""
    from tenacity import Retrying, retry_if_exception_type  # noqa: PLC0415  only a watcher pays for it

    again = Retrying(
        retry=retry_if_exception_type(UnreachableError),
        wait=lambda tried: BACKOFF.pause(tried.attempt_number),
        stop=lambda tried: tried.idle_for >= PATIENCE,
        before_sleep=_say_once,
        retry_error_callback=_give_up,
        sleep=time.sleep,
    )
    return again(ask)


def _say_once(tried: "RetryCallState") -> None:
    if tried.attempt_number == 1:
        say(f"{_cause(tried)}; trying again")


def _give_up(tried: "RetryCallState") -> NoReturn:
    error = _cause(tried)
    raise DetachedError(f"{error}; gave up after {tried.idle_for:.0f} s, but the run continues") from error


def _cause(tried: "RetryCallState") -> BaseException | None:
    return tried.outcome.exception() if tried.outcome is not None else None


@contextmanager
def detachable(what: str, *, suite: bool = False) -> Iterator[None]:
    """Turn Ctrl-C into the end of watching, with a message and an exit code that is not a verdict."""
    look, end = ("list --suite", "cancel --suite") if suite else ("show", "cancel")
    try:
        yield
    except KeyboardInterrupt as error:
        raise DetachedError(
            f"no longer watching; the run continues (`assay {look} {what}`, `assay {end} {what}` to end it)"
        ) from error


def drawn() -> bool:
    """Return whether the watcher's last picture stays on the screen to which the verdicts would be written."""
    return sys.stderr.isatty() and sys.stdout.isatty()


def watch_execution(client: "Client", execution_id: str) -> Any:
    """Show one run until it has ended, and return its last state."""
    return _watch(lambda: client.get(f"/tests/{execution_id}"), lambda answer: [answer])


def watch_suite(client: "Client", suite_run_id: str) -> Any:
    """Show the runs of a suite until the suite has ended, and return its last state."""
    return _watch(lambda: client.get(f"/suites/runs/{suite_run_id}"), lambda answer: list(answer["executions"]))


def _watch(ask: Callable[[], Any], runs_of: Callable[[Any], list[Any]]) -> Any:
    screen: Screen | Lines = Screen() if sys.stderr.isatty() else Lines()
    with screen:
        while True:
            answer = patiently(ask)
            screen.show(runs_of(answer))
            if answer["status"] in TERMINAL:
                return answer
            time.sleep(INTERVAL)


def describe(run: Any) -> str:
    """Return the state of a run in a few words."""
    if run["status"] == "queued":
        place = f" at {run['queuePosition']}" if run["queuePosition"] else ""
        told = starts(run)
        soon = f", {told}" if told else ""
        return f"{run['phase']}{place}{soon}{': ' + run['waitReason'] if run['waitReason'] else ''}"
    if run["status"] == "running":
        return f"{run['phase']}, {counts(run['progress'])}"
    cause = f" ({run['failureReason']})" if run["failureReason"] else ""
    took = f" in {seconds(run['durationSeconds'])}" if run["durationSeconds"] is not None else ""
    return f"{counts(run['progress'])}{cause}{took}"


def starts(run: Any) -> str:
    """Return the estimated start of a waiting run in words; an empty text while it is unknown."""
    p50, p90 = run.get("estimatedStartTime"), run.get("estimatedStartTimeP90")
    if p50 is None:
        return ""
    likely = f" (90%: {away(p90)})" if p90 else ""
    return f"starts in about {away(p50)}{likely}"


def counts(progress: Any) -> str:
    """Return a progress in words."""
    if not progress["totalTests"]:
        return "no tests yet" if not progress["completed"] else f"{progress['completed']} tests"
    parts = [f"{progress['completed']}/{progress['totalTests']} tests"]
    parts += [f"{progress[kind]} {kind}" for kind in ("failed", "skipped") if progress[kind]]
    return ", ".join(parts)


@dataclass(slots=True)
class Lines:
    """Writes a line for each change, for logs of CI jobs."""

    last: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def show(self, runs: list[Any]) -> None:
        """Write which runs changed their state since the last call."""
        for run in runs:
            state = f"{run['status']} {run['phase']} {run['waitReason']}"
            if self.last.get(run["executionId"]) != state:
                self.last[run["executionId"]] = state
                say(f"{run['shortId']}  {run['name']}  {run['status']}  {describe(run)}")


class Screen:
    """Draws a table again in place, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415  only a terminal pays for it
        from rich.live import Live  # noqa: PLC0415

        self._live = Live(console=Console(stderr=True), refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, runs: list[Any]) -> None:
        """Draw the present state of the runs."""
        from rich.constrain import Constrain  # noqa: PLC0415  only a terminal pays for it
        from rich.progress_bar import ProgressBar  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        drawn = Table(box=None, show_header=False, pad_edge=False)
        for run in runs:
            done = (
                run["progress"]["percentComplete"] if run["status"] == "running" else 100 * (run["status"] in TERMINAL)
            )
            drawn.add_row(
                Text(run["shortId"], style="dim"),
                Text(run["name"]),
                Text(run["status"], style=STATUS_STYLE.get(run["status"], "")),
                ProgressBar(total=100, completed=done, width=20),
                Text(describe(run)),
            )
        self._live.update(Constrain(drawn, self._live.console.width - ECHO))
