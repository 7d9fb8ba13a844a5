"""Watches runs until they end, over lost connections.

To stop watching never ends a run, and never looks like a success.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from cli.failure import DetachedError, UnreachableError
from cli.found_run import FoundRun, tests_of
from cli.output import say, span
from cli.screen import QUIET_SECONDS, picture
from cli.words import TERMINAL
from model.backoff import Backoff

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from cli.client import Client  # httpx loads slowly, and not every command needs it

INTERVAL = 0.4
PATIENCE = 600.0
"""Seconds without an answer after which the watcher gives up; the run continues."""
BACKOFF = Backoff(first=0.5, longest=10.0)
_SAY_EVERY = QUIET_SECONDS - BACKOFF.longest


@dataclass(slots=True, kw_only=True)
class Patience:
    """How long a command waits for the end of a run: `seconds` in all, None for ever."""

    seconds: float | None = None
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    @property
    def left(self) -> float:
        """The seconds that are left, infinite if there is no limit."""
        return float("inf") if self.seconds is None else self.seconds - (self.clock() - self.began)


FOREVER = Patience()


def patiently(ask: Callable[[], Any], patience: Patience = FOREVER) -> Any:
    """Return what `ask` returns; ask again, with growing pauses, while the server does not answer."""
    from tenacity import Retrying, retry_if_exception_type  # noqa: PLC0415  only a watcher pays for it

    again = Retrying(
        retry=retry_if_exception_type(UnreachableError),
        wait=lambda tried: BACKOFF.pause(tried.attempt_number),
        stop=lambda tried: tried.idle_for >= PATIENCE or patience.left <= 0,
        before_sleep=_say_now_and_then,
        retry_error_callback=_give_up,
        sleep=time.sleep,
    )
    return again(ask)


def _say_now_and_then(tried: "RetryCallState") -> None:
    """Say it at once, and then so often that no pause between two lines is longer than a watcher's may be."""
    if tried.attempt_number == 1:
        say(f"{_cause(tried)}; trying again")
    elif tried.idle_for // _SAY_EVERY > (tried.idle_for - tried.upcoming_sleep) // _SAY_EVERY:
        say(f"still no answer after {span(tried.idle_for)}; trying again")


def _give_up(tried: "RetryCallState") -> NoReturn:
    error = _cause(tried)
    raise DetachedError(f"{error}; gave up after {tried.idle_for:.0f} s, but the run continues") from error


def _cause(tried: "RetryCallState") -> BaseException | None:
    return tried.outcome.exception() if tried.outcome is not None else None


@contextmanager
def detachable(run: str) -> Iterator[None]:
    """Turn Ctrl-C into the end of watching, with a message and an exit code that is not a verdict."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise DetachedError(
            f"no longer watching; the run continues (`assay wait {run}` to watch it again, `assay cancel {run}` to "
            "end it)"
        ) from error


def watch_run(client: "Client", run: FoundRun, patience: Patience = FOREVER) -> Any:
    """Show a run until it has ended, and return its last state. Raises: DetachedError at the end of the patience."""
    told = ""
    with picture() as shown:
        while True:
            answer = patiently(lambda: client.get(run.details), patience)
            if run.is_test or run.is_suite:
                shown.show(tests_of(run, answer))
            told = _say_window(answer.get("experiment"), told)
            if answer["status"] in TERMINAL:
                return answer
            if patience.left <= 0:
                raise DetachedError(
                    f"the run has not ended within {span(patience.seconds or 0)}; it continues (`assay wait {run.id}` "
                    "to wait again)"
                )
            time.sleep(min(INTERVAL, max(0.0, patience.left)))


def _say_window(experiment: Any, told: str) -> str:
    """Say how far the experiment of a suite is, if that has changed since it was told; return what is told now."""
    if not experiment:
        return told
    step = f", step {experiment['step']}" if experiment["step"] else ""
    title = f"{experiment['shortId']} experiment {experiment['name']}"
    now = f"{title}: {experiment['status']}, window {experiment['window']}{step}"
    if now != told:
        say(now)
    return now
