"""The windows of a suite that carries an experiment, and what its tests may ask for in them (028)."""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from model.lenient import items, mapping
from model.problems import Finding, Location


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
    """Yield the problems between the experiment of a suite and its tests."""
    defaults = mapping(suite.get("defaults"))
    tests = [mapping(test) for test in items(suite.get("tests"))]
    if suite.get("experiment") is None:
        yield from _without_experiment(tests, defaults)
        return
    if suite.get("start") == "together":
        yield Finding(location=("start",), message="leave it out: the experiment says when each test starts")
    for position, test in enumerate(tests):
        yield from _window_of(position, test, defaults)
    said = [_said(test, defaults) for test in tests]
    if said and During.FAULT not in said and all(word in set(During) for word in said):
        message = "no test says `during: fault`: add one, or run the experiment alone with `assay chaos run`"
        yield Finding(location=("experiment",), message=message)


def _without_experiment(tests: list[dict[str, object]], defaults: dict[str, object]) -> Iterator[Finding]:
    message = "means something only in a suite with an `experiment`: add one, or leave it out"
    if "during" in defaults:
        yield Finding(location=("defaults", "during"), message=message)
    for position, test in enumerate(tests):
        if "during" in test:
            yield Finding(location=("tests", position, "during"), message=message)


def _window_of(position: int, test: dict[str, object], defaults: dict[str, object]) -> Iterator[Finding]:
    during = _said(test, defaults)
    if during is None:
        message = f"say {_WORDS}: the suite has an experiment"
        yield Finding(location=("tests", position, "during"), message=message)
    elif during not in set(During):
        location: Location = ("tests", position, "during") if "during" in test else ("defaults", "during")
        yield Finding(location=location, message=f"must be one of {_WORDS}, not {during!r:.60}")
    elif during == During.FAULT:
        yield from _runs_once(position, test, defaults)


def _runs_once(position: int, test: dict[str, object], defaults: dict[str, object]) -> Iterator[Finding]:
    """Find what would run a test again after the fault is over, and hide what the fault did to it (028.8)."""
    retries = _config(test, "retryPolicy", defaults)
    if (most := mapping(retries).get("maxRetries")) not in {None, 0} and isinstance(most, int):
        message = "must be 0 under the fault: what fails there runs once more without the fault by itself"
        yield Finding(location=("tests", position, "config", "retryPolicy", "maxRetries"), message=message)
    if _config(test, "restartable", defaults) is True:
        message = "must be false under the fault: a test that is started anew may meet no fault any more"
        yield Finding(location=("tests", position, "config", "restartable"), message=message)


def _said(test: dict[str, object], defaults: dict[str, object]) -> object:
    return test.get("during", defaults.get("during"))


def _config(test: dict[str, object], key: str, defaults: dict[str, object]) -> object:
    own = mapping(test.get("config"))
    return own.get(key, mapping(defaults.get("config")).get(key))
