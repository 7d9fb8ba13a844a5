"""The tests of a suite, its defaults merged into them, and what the suite as a whole must keep."""

from collections.abc import Iterator, Mapping
from typing import Any

from model.examine import Examined, examine
from model.lenient import MISSING, at, items, mapping
from model.problems import Finding, Location
from model.rules import ToolRules


def examined_tests(suite: Mapping[str, Any], most: int, tools: ToolRules, *, allow_local: bool) -> Iterator[Examined]:
    """Look at each of the first `most` tests with the defaults merged into it."""
    defaults = mapping(suite.get("defaults"))
    for position, own in enumerate(items(suite.get("tests"))[:most]):
        whole = merged(defaults, own) if isinstance(own, dict) else own
        test = examine(whole, tools, allow_local=allow_local)
        findings = tuple(_placed(finding, position, own, defaults) for finding in test.findings)
        yield Examined(value=test.value, findings=findings)


def merged(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return `own` over `defaults`, key by key at every depth; a list counts as one value."""
    both = {**defaults, **own}
    for key in defaults.keys() & own.keys():
        if isinstance(defaults[key], dict) and isinstance(own[key], dict):
            both[key] = merged(defaults[key], own[key])
    return both


def _placed(finding: Finding, position: int, own: object, defaults: dict[str, Any]) -> Finding:
    """Tell a problem that comes from the defaults there, once."""
    place = finding.location
    if place and at(own, place) is MISSING and at(defaults, place) is not MISSING:
        return finding.under("defaults")
    return finding.under("tests", position)


def broken_suite_rules(suite: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong between the tests of a suite, and in its schedules."""
    yield from _names_stand_once(suite)
    yield from _schedules_are_one_thing(suite)
    yield from _together_is_possible(suite)


def _names_stand_once(suite: Mapping[str, Any]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for position, test in enumerate(items(suite.get("tests"))):
        name = mapping(test).get("name")
        if isinstance(name, str) and first.setdefault(name, position) != position:
            message = f"is there twice, first as tests[{first[name]}]"
            yield Finding(location=("tests", position, "name"), message=message)


def _schedules_are_one_thing(suite: Mapping[str, Any]) -> Iterator[Finding]:
    for position, entry in enumerate(items(suite.get("schedules"))):
        given = [key for key in ("cron", "interval") if mapping(entry).get(key) is not None]
        if isinstance(entry, dict) and len(given) != 1:
            message = f"must have exactly one of cron and interval, not {len(given)}"
            yield Finding(location=("schedules", position), message=message)


def _together_is_possible(suite: Mapping[str, Any]) -> Iterator[Finding]:
    """Find tests that want the same exclusive thing: whoever has it keeps the other from starting."""
    if suite.get("start") != "together":
        return
    defaults = items(mapping(mapping(suite.get("defaults")).get("config")).get("exclusive"))
    first: dict[str, int] = {}
    for position, test in enumerate(items(suite.get("tests"))):
        own = mapping(mapping(test).get("config")).get("exclusive")
        for place, name in enumerate(items(own) if own is not None else defaults):
            if isinstance(name, str) and first.setdefault(name, position) != position:
                at_fault: Location = ("tests", position, "config", "exclusive", place)
                location = ("defaults", "config", "exclusive", place) if own is None else at_fault
                message = f"is also wanted by tests[{first[name]}]: they could never start together"
                yield Finding(location=location, message=message)
