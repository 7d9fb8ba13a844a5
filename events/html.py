"""Write the result of an event-driven test as a page: choose the events that are shown, and hand over plain values."""

import json
from collections.abc import Mapping, Sequence

from events.driven_test import EventTestResult
from events.event import Event, Offset, PartitionNumber, Topic
from events.outcomes import AssertionResult
from reports.event_page import event_page
from reports.event_test import Arrival, EventReport, FaultWindow, Judged

MOST_EVENTS = 200
"""Events on a page. Those that decided an assertion come first; the recording has all."""
MOST_WITNESSES = 20
LONGEST_PAYLOAD = 2_000
_SOURCES = ("source", "service")


def html(result: EventTestResult, trigger: str) -> str:
    """Return the page. `trigger` is what set off the events, in words."""
    shown = _shown(result)
    numbers = {event.place: number for number, event in enumerate(shown)}
    return event_page(
        EventReport(
            name=result.name,
            outcome=str(result.outcome),
            ended_at=result.ended_at,
            trigger=trigger,
            judged=tuple(_judged(one, numbers) for one in result.results),
            events=tuple(_arrival(event, number) for number, event in enumerate(shown)),
            left_out=len(result.events) - len(shown),
            warnings=result.warnings,
            windows=tuple(FaultWindow(name=one.name, begins=one.begins, ends=one.ends) for one in result.windows),
        )
    )


def _shown(result: EventTestResult) -> Sequence[Event]:
    """Return the events that decided something and the first others, in order of arrival."""
    chosen = {event.place for one in result.results for event in one.witnesses[:MOST_WITNESSES]}
    for event in result.events:
        if len(chosen) >= MOST_EVENTS:
            break
        chosen.add(event.place)
    return [event for event in result.events if event.place in chosen]


def _judged(one: AssertionResult, numbers: Mapping[tuple[Topic, PartitionNumber, Offset], int]) -> Judged:
    known = [numbers[event.place] for event in one.witnesses if event.place in numbers]
    return Judged(
        name=one.name,
        outcome=str(one.outcome),
        message=one.message,
        at=one.at,
        witnesses=tuple(known),
        notes=one.notes,
        phases=() if one.phases is None else (str(one.phases),),
    )


def _arrival(event: Event, number: int) -> Arrival:
    payload = json.dumps(event.payload, indent=1, ensure_ascii=False)
    if len(payload) > LONGEST_PAYLOAD:
        payload = f"{payload[:LONGEST_PAYLOAD]}… ({len(payload)} characters)"
    return Arrival(
        number=number,
        type=event.type,
        topic=event.topic,
        place=f"{event.topic}[{event.partition}]@{event.offset}",
        at=event.at,
        source=next((text for name in _SOURCES if (text := _said(event, name))), ""),
        key=event.key or "",
        payload=payload,
        poison=event.poison or "",
    )


def _said(event: Event, name: str) -> str:
    return event.attributes.get(name) or event.headers.get(name) or ""
