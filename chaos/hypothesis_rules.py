"""The rules that refuse a promise which nothing could break: a check that never fails, a limit that never halts.

Such an experiment would pass whatever happens. Each rule yields problems; none raises, whatever the document holds.
"""

from collections.abc import Iterator

from chaos.document_parts import Document, active_seconds, checks_of, number, slos_of
from chaos.hypothesis import CONDITION_KINDS, DEFAULT_TOLERANCE_PERCENT, NEEDED, ProbeType, SloKind
from model.lenient import items, mapping, text
from model.problems import Finding, Location

LIMITS = ("above", "below")
COMPARED = frozenset({ProbeType.COMMAND, ProbeType.PROMETHEUS})
"""The types of health checks that read a number."""
FAILURES, INTERVAL_SECONDS, STEP_SECONDS = 3, 1.0, 5
"""What a file has that says nothing."""
WHOLE = 100.0
SHORTEST_SECONDS, LONGEST_SECONDS = 5, 3600
"""The bounds of `durationSeconds`."""
SHORT_SECONDS = 60
"""Faults that are over as soon as most limits would have halted them."""


def hollow_promises(document: Document) -> Iterator[Finding]:
    """Yield the problems of the hypothesis and of the halt conditions.

    What depends on the length of the windows is not said of a length that is refused itself.
    """
    seconds = number(document.get("durationSeconds"))
    measured = seconds is not None and SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS
    for rule in (*RULES, *(TIMED_RULES if measured else ())):
        yield from rule(document)


def _checks_can_fail(document: Document) -> Iterator[Finding]:
    active = active_seconds(document)
    for location, check in checks_of(document):
        failures = number(check.get("failures", FAILURES))
        interval = number(check.get("intervalSeconds", INTERVAL_SECONDS))
        if active and failures and interval and failures * interval > active:
            message = (
                f"could never be reached: {failures:g} looks, {interval:g} s apart, take longer than the {active:g} s "
                "of the faults; use fewer failures, a shorter intervalSeconds, or longer faults"
            )
            yield Finding(location=(*location, "failures"), message=message)


def _checks_use_what_they_name(document: Document) -> Iterator[Finding]:
    """Refuse a key of another type: who writes `above` beside a URL believes that a latency is limited."""
    for location, check in checks_of(document):
        kind = text(check.get("type"))
        if kind not in set(ProbeType):
            continue
        own = {*NEEDED[ProbeType(kind)], *(LIMITS if kind in COMPARED else ())}
        for key in sorted({key for keys in NEEDED.values() for key in keys} | set(LIMITS)):
            if key not in own and check.get(key) is not None:
                remedy = "; a limit of latency is an SLO" if key in LIMITS else ""
                yield Finding(location=(*location, key), message=f"is not used by type {kind}{remedy}")
        if check.get("kind") is not None and kind == ProbeType.KUBERNETES and check["kind"] not in CONDITION_KINDS:
            yield Finding(location=(*location, "kind"), message=f"must be one of {', '.join(CONDITION_KINDS)}")
        if items(check.get("command")) and not text(items(check["command"])[0]):
            yield Finding(location=(*location, "command", 0), message="is required: the program")


def _limits_leave_room(document: Document) -> Iterator[Finding]:
    limited: list[tuple[Location, Document]] = [
        *checks_of(document),
        *((("haltConditions", place), mapping(one)) for place, one in enumerate(items(document.get("haltConditions")))),
    ]
    for location, entry in limited:
        above, below = number(entry.get("above")), number(entry.get("below"))
        if above is not None and below is not None and above < below:
            message = f"is less than `below` ({below:g}), so no value is within the limits"
            yield Finding(location=(*location, "above"), message=message)


def _ratios_can_be_missed(document: Document) -> Iterator[Finding]:
    default = mapping(document.get("hypothesis")).get("tolerancePercent", DEFAULT_TOLERANCE_PERCENT)
    for location, slo in slos_of(document):
        objective = number(slo.get("objective"))
        given = slo.get("tolerancePercent")
        tolerance = number(default if given is None else given)
        if slo.get("kind") != SloKind.RATIO or objective is None or tolerance is None:
            continue
        if (WHOLE - objective) * (1 + tolerance / WHOLE) >= WHOLE:
            message = f"with a tolerance of {tolerance:g} % allows every request to be bad, so it is always met"
            yield Finding(location=(*location, "objective"), message=message)


def _ratios_are_read(document: Document) -> Iterator[Finding]:
    windows = [number(document.get(key)) for key in ("durationSeconds", "baselineSeconds")]
    shortest = min((seconds for seconds in windows if seconds), default=None)
    for location, slo in slos_of(document):
        step = number(slo.get("stepSeconds", STEP_SECONDS))
        if slo.get("kind") == SloKind.RATIO and step and shortest and step > shortest:
            message = f"is longer than a window of {shortest:g} s: there would be no reading"
            yield Finding(location=(*location, "stepSeconds"), message=message)


def _halts_on_a_ratio_are_shares(document: Document) -> Iterator[Finding]:
    ratios = {text(slo.get("name")) for _, slo in slos_of(document) if slo.get("kind") == SloKind.RATIO}
    for place, entry in enumerate(items(document.get("haltConditions"))):
        condition, location = mapping(entry), ("haltConditions", place)
        if text(condition.get("slo")) not in ratios:
            continue
        above = number(condition.get("above"))
        if above is not None and above > WHOLE:
            message = "must be 100 or less: it is the percentage of bad requests"
            yield Finding(location=(*location, "above"), message=message)
        if condition.get("below") is not None:
            message = "would halt because few requests are bad: it is their percentage; use above"
            yield Finding(location=(*location, "below"), message=message)


def _something_can_halt(document: Document) -> Iterator[Finding]:
    """Refuse limits that are all too slow for long faults: nothing would end them early."""
    active = active_seconds(document)
    steps = {("slo", text(slo.get("name"))): slo.get("stepSeconds", STEP_SECONDS) for _, slo in slos_of(document)}
    steps |= {
        ("healthCheck", text(check.get("name"))): check.get("intervalSeconds", INTERVAL_SECONDS)
        for _, check in checks_of(document)
    }
    lengths = []
    for entry in map(mapping, items(document.get("haltConditions"))):
        watched = ((key, text(entry.get(key))) for key in ("slo", "healthCheck"))
        step = next((steps[one] for one in watched if one in steps), None)
        failures, seconds = number(entry.get("failures", FAILURES)), number(step)
        if not failures or not seconds:
            return  # a mistake that is told elsewhere
        lengths.append(failures * seconds)
    if lengths and min(lengths) > active > SHORT_SECONDS:
        message = (
            f"would halt after {min(lengths):g} s at the earliest, and the faults end after {active:g} s: use fewer "
            "failures, or shorter steps"
        )
        yield Finding(location=("haltConditions",), message=message)


RULES = (_checks_use_what_they_name, _limits_leave_room, _ratios_can_be_missed, _halts_on_a_ratio_are_shares)
TIMED_RULES = (_checks_can_fail, _ratios_are_read, _something_can_halt)
