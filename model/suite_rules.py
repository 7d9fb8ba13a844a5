"""Examine the tests of a suite with its defaults merged into them, and check the rules of the suite as a whole."""

from collections.abc import Iterator, Mapping

from model.cron import parse_cron
from model.examine import Examined, examine
from model.lenient import MISSING, at, items, mapping, text
from model.problems import Finding, Location
from model.rules import ToolRules
from model.suite_windows import During, broken_rules_of_test, broken_window_rules

DURING = "during"
NAME_OF_ALL = "default"
"""The deployment of the flow that runs suites of any name."""
_UNFIT = "/%&<>?#"
"""Prefect refuses the first five. It reads the others as the end of a name, and then finds another deployment."""


def examined_tests(
    suite: Mapping[str, object], most: int, tools: ToolRules, *, allow_local: bool
) -> Iterator[Examined]:
    """Examine each of the first `most` tests with the defaults merged into it."""
    defaults = mapping(suite.get("defaults"))
    for position, own in enumerate(items(suite.get("tests"))[:most]):
        whole = merged(defaults, own) if isinstance(own, dict) else own
        if isinstance(whole, dict):
            whole.pop(DURING, None)  # it belongs to the suite, and is no part of the test
        test = examine(whole, tools, allow_local=allow_local)
        findings = tuple(_located(finding, position, own, defaults) for finding in test.findings)
        yield Examined(value=test.value, findings=findings)


def merged(defaults: dict[str, object], own: dict[str, object]) -> dict[str, object]:
    """Return `defaults` overridden by `own`, key by key at every depth. A list is one value."""
    both = {**defaults, **own}
    for key in defaults.keys() & own.keys():
        default, value = defaults[key], own[key]
        if isinstance(default, dict) and isinstance(value, dict):
            both[key] = merged(default, value)
    return both


def window_of_each(suite: Mapping[str, object], most: int) -> tuple[During | None, ...]:
    """Return in which window each of the first `most` tests runs, None where it says nothing. The suite is valid."""
    default = mapping(suite.get("defaults")).get(DURING)
    said = (mapping(test).get(DURING, default) for test in items(suite.get("tests"))[:most])
    return tuple(None if word is None else During(text(word)) for word in said)


def _located(finding: Finding, position: int, own: object, defaults: dict[str, object]) -> Finding:
    """Return `finding` with its location in the suite: in the defaults where its value comes from them."""
    location = finding.location
    if location and at(own, location) is MISSING and at(defaults, location) is not MISSING:
        return finding.under("defaults")
    return finding.under("tests", position)


def broken_suite_rules(suite: Mapping[str, object]) -> Iterator[Finding]:
    """Yield the problems between the tests of a suite, and those of its schedules."""
    yield from _names_are_unique(suite)
    yield from _schedules_have_one_form(suite)
    yield from _schedules_stand_once(suite)
    yield from _name_can_be_scheduled(suite)
    yield from _together_is_possible(suite)
    yield from broken_window_rules(suite)
    yield from _windows_of_tests(suite)


def _windows_of_tests(suite: Mapping[str, object]) -> Iterator[Finding]:
    """Yield what each test says wrongly about its window, once where the defaults say it for all."""
    defaults, known = mapping(suite.get("defaults")), set[Finding]()
    for position, own in enumerate(items(suite.get("tests"))):
        if not isinstance(own, dict):
            continue
        whole = merged(defaults, own)
        for finding in broken_rules_of_test(whole, with_experiment=suite.get("experiment") is not None):
            located = _located(finding, position, own, defaults)
            if located not in known:
                known.add(located)
                yield located


def _names_are_unique(suite: Mapping[str, object]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for position, test in enumerate(items(suite.get("tests"))):
        name = mapping(test).get("name")
        if isinstance(name, str) and first.setdefault(name, position) != position:
            message = f"is there twice, first as tests[{first[name]}]"
            yield Finding(location=("tests", position, "name"), message=message)


def _schedules_have_one_form(suite: Mapping[str, object]) -> Iterator[Finding]:
    for position, entry in enumerate(items(suite.get("schedules"))):
        given = [key for key in ("cron", "interval") if mapping(entry).get(key) is not None]
        if isinstance(entry, dict) and len(given) != 1:
            message = f"must have exactly one of cron and interval, not {len(given)}"
            yield Finding(location=("schedules", position), message=message)


def _schedules_stand_once(suite: Mapping[str, object]) -> Iterator[Finding]:
    first: dict[tuple[object, ...], int] = {}
    for position, entry in enumerate(items(suite.get("schedules"))):
        schedule = mapping(entry)
        when = (_plain_cron(schedule.get("cron")), text(schedule.get("interval")), schedule.get("timezone", "UTC"))
        if (when[0] or when[1]) and isinstance(when[2], str) and first.setdefault(when, position) != position:
            message = f"is there twice, first as schedules[{first[when]}]"
            yield Finding(location=("schedules", position), message=message)


def _plain_cron(raw: object) -> str:
    try:
        return parse_cron(text(raw)).text()
    except ValueError:  # the check of the field reports it
        return ""


def _name_can_be_scheduled(suite: Mapping[str, object]) -> Iterator[Finding]:
    name = suite.get("name")
    if items(suite.get("schedules")) and isinstance(name, str) and (problem := name_problem(name)):
        yield Finding(location=("name",), message=problem)


def name_problem(name: str) -> str | None:
    """Return why Prefect can have no deployment of this name. None if it can."""
    if name == NAME_OF_ALL:
        return f"{name!r} is the deployment that runs all other suites: give the suite another name"
    if name in {".", ".."} or set(name) & set(_UNFIT):
        return f"{name!r} cannot be a deployment's name: it must not be '.' or '..', nor have any of {_UNFIT}"
    return None


def _together_is_possible(suite: Mapping[str, object]) -> Iterator[Finding]:
    """Find tests that must run at the same time and need the same exclusive name. They never could."""
    carries = suite.get("experiment") is not None
    if suite.get("start") != "together" and not carries:
        return
    default = mapping(suite.get("defaults"))
    defaults = items(mapping(default.get("config")).get("exclusive"))
    first: dict[str, int] = {}
    for position, test in enumerate(items(suite.get("tests"))):
        if carries and mapping(test).get(DURING, default.get(DURING)) != During.FAULT:
            continue
        own = mapping(mapping(test).get("config")).get("exclusive")
        for index, name in enumerate(items(own) if own is not None else defaults):
            if isinstance(name, str) and first.setdefault(name, position) != position:
                in_test: Location = ("tests", position, "config", "exclusive", index)
                location = ("defaults", "config", "exclusive", index) if own is None else in_test
                how = "run under the fault at the same time" if carries else "start together"
                message = f"is also wanted by tests[{first[name]}]: they could never {how}"
                yield Finding(location=location, message=message)
