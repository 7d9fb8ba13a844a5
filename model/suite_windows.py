"""The windows of a suite that carries an experiment, and what its tests may ask for in them (028)."""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from model.lenient import items, mapping
from model.problems import Finding


class During(StrEnum):
    """In which window of the suite's experiment a test runs."""

    BASELINE = "baseline"
    FAULT = "fault"
    RECOVERY = "recovery"


class SuiteWindow(StrEnum):
    """How far the experiment of a suite is, for the tests of the suite. Only in this order."""

    WAITING = "waiting"
    BASELINE = "baseline"
    FAULT = "fault"
    RECOVERY = "recovery"


_ORDER = tuple(SuiteWindow)
_WORDS = ", ".join(During)


def may_begin(during: During, window: SuiteWindow) -> bool:
    """Say whether a test may begin in this window: its own, or a later one."""
    return _ORDER.index(SuiteWindow(during.value)) <= _ORDER.index(window)


def broken_window_rules(suite: Mapping[str, object]) -> Iterator[Finding]:
    """Yield the problems between the experiment of a suite and the suite as a whole."""
    if suite.get("experiment") is None:
        return
    if suite.get("start") == "together":
        yield Finding(location=("start",), message="leave it out: the experiment says when each test starts")
    default = mapping(suite.get("defaults")).get("during")
    said = [mapping(test).get("during", default) for test in items(suite.get("tests"))]
    if said and During.FAULT not in said and all(map(_is_window, said)):
        message = "no test says `during: fault`: add one, or run the experiment alone with `assay chaos run`"
        yield Finding(location=("experiment",), message=message)


def broken_rules_of_test(test: Mapping[str, object], *, with_experiment: bool) -> Iterator[Finding]:
    """Yield the problems of one test, with the defaults of its suite merged into it, with its window."""
    during = test.get("during")
    if not with_experiment:
        if during is not None:
            message = "means something only in a suite with an `experiment`: add one, or leave it out"
            yield Finding(location=("during",), message=message)
    elif during is None:
        yield Finding(location=("during",), message=f"say {_WORDS}: the suite has an experiment")
    elif not _is_window(during):
        yield Finding(location=("during",), message=f"must be one of {_WORDS}, not {during!r:.60}")
    elif during == During.FAULT:
        yield from _runs_once(mapping(test.get("config")))


def _runs_once(config: Mapping[str, object]) -> Iterator[Finding]:
    """Find what would run a test again after the fault is over, and hide what the fault did to it (028.8)."""
    most = mapping(config.get("retryPolicy")).get("maxRetries")
    if isinstance(most, int) and most > 0:
        message = "must be 0 under the fault: what fails there runs once more without the fault by itself"
        yield Finding(location=("config", "retryPolicy", "maxRetries"), message=message)
    if config.get("restartable") is True:
        message = "must be false under the fault: a test that is started anew may meet no fault any more"
        yield Finding(location=("config", "restartable"), message=message)


def _is_window(during: object) -> bool:
    return isinstance(during, str) and during in set(During)
