"""The result of an event-driven test for people and for programs."""

from collections.abc import Iterator
from dataclasses import asdict

from pydantic import JsonValue

from events.driven_test import EventTestResult
from events.event import describe
from events.paths import as_json
from model.plural import counted
from reports.texts import for_people


def in_words(result: EventTestResult) -> Iterator[str]:
    """Yield the lines that a person reads: each assertion, with its witnesses if it did not pass, and the whole.

    What events say in them cannot steer a terminal.
    """
    yield from (for_people(line.replace("\n", "\\n")) for line in _lines(result))


def _lines(result: EventTestResult) -> Iterator[str]:
    for assertion in result.results:
        yield f"{assertion.outcome:<12} {assertion.name}: {assertion.message}"
        if assertion.phases is not None:
            yield f"{'':12} {assertion.phases}"
        if not assertion.passed:
            yield from (f"{'':12} {line}" for line in (*map(describe, assertion.witnesses), *assertion.notes))
    foreign = f", {result.foreign} of them outside of the scope" if result.foreign else ""
    yield f"{result.outcome}: {result.name}, {counted(len(result.events), 'event')}{foreign}"


def result_to_raw(result: EventTestResult) -> JsonValue:
    """Return a result as plain data."""
    return {
        "name": result.name,
        "outcome": str(result.outcome),
        "endedAtMs": result.ended_at,
        "events": len(result.events),
        "faults": [asdict(window) for window in result.windows],
        "assertions": [
            {
                "name": one.name,
                "outcome": str(one.outcome),
                "message": one.message,
                "atMs": one.at,
                "witnesses": [as_json(event) for event in one.witnesses],
                "notes": list(one.notes),
                "phases": None if one.phases is None else asdict(one.phases),
            }
            for one in result.results
        ],
    }
