"""Draw an event-driven test: who sent what to which topic, and when, as a sequence diagram and as a timeline."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement

from reports.event_test import Arrival, EventReport
from reports.texts import for_people

WIDTH, LEFT, RIGHT, HEAD, ROW = 960, 190, 30, 40, 30
LONGEST = 26
"""Characters of a name in a picture. The tables have the whole name."""
UNNAMED = "unnamed sender"
_STEPS = (1, 2, 5)
_MOST_TICKS = 8
_LONG = 10_000.0
"""Milliseconds from which on the axis counts seconds."""


def sequence(report: EventReport) -> Element:
    """Return the sequence diagram: senders and topics as lifelines, from left to right as they occur."""
    names = _lifelines(report.events)
    space = (WIDTH - 2 * RIGHT - 120) / max(len(names) - 1, 1)
    xs = {name: RIGHT + 110 + number * space for number, name in enumerate(names)}
    height = HEAD + ROW * (len(report.events) + 1) + 10
    svg = _picture(height, f"Sequence diagram of {report.name}")
    for (kind, name), x in xs.items():
        _text(svg, (x, 22), _short(name), f"name {kind}", "middle")
        SubElement(svg, "line", {"class": "life", **_ends(x, HEAD - 10, x, height - 8)})
    for row, event in enumerate(report.events):
        y = HEAD + ROW * (row + 1) - 6
        _message(svg, event, (xs[_sender(event)], xs["topic", event.topic], y), telling=event.number in report.telling)
    return svg


def timeline(report: EventReport) -> Element:
    """Return the timeline: one row a topic with its events, one row an assertion with its decision, and the faults."""
    topics = sorted({event.topic for event in report.events})
    rows = [*topics, *(one.name for one in report.judged)]
    height = HEAD + ROW * len(rows) + 30
    svg = _picture(height, f"Timeline of {report.name}")
    until = max([report.ended_at, 1.0])
    _faults(svg, report, until, height)
    _axis(svg, until, height)
    for number, name in enumerate(rows):
        y = HEAD + ROW * number + ROW / 2
        _text(svg, (LEFT - 12, y + 4), _short(name, LONGEST - 4), "name", "end")
        SubElement(svg, "line", {"class": "grid", **_ends(LEFT, y, WIDTH - RIGHT, y)})
    for event in report.events:
        y = HEAD + ROW * topics.index(event.topic) + ROW / 2
        _dot(svg, _x(event.at, until), y, "bad" if event.number in report.telling else "dot", _title(event))
    for number, one in enumerate(report.judged, start=len(topics)):
        y = HEAD + ROW * number + ROW / 2
        _dot(svg, _x(one.at, until), y, f"o-{one.outcome}", f"{one.outcome} at {one.at:.0f} ms: {one.message}")
    return svg


def _lifelines(events: Sequence[Arrival]) -> list[tuple[str, str]]:
    """Return senders, then topics, each in the order in which they occur."""
    senders = dict.fromkeys(_sender(event) for event in events)
    return [*senders, *dict.fromkeys(("topic", event.topic) for event in events)]


def _sender(event: Arrival) -> tuple[str, str]:
    return "sender", event.source or UNNAMED


def _message(svg: Element, event: Arrival, place: tuple[float, float, float], *, telling: bool) -> None:
    """Draw one message from its sender to its topic."""
    begin, end, y = place
    group = SubElement(svg, "g", {"class": "told" if telling else "message"})
    SubElement(group, "title").text = for_people(_title(event))
    SubElement(group, "line", {"class": "arrow", **_ends(begin, y, end - 7, y)})
    points = f"{end:.1f},{y:.1f} {end - 8:.1f},{y - 4:.1f} {end - 8:.1f},{y + 4:.1f}"
    SubElement(group, "polygon", {"points": points})
    label = f"{event.type or '(no type)'} {event.key}".strip()
    _text(group, ((begin + end) / 2, y - 5), _short(label, 2 * LONGEST), "label", "middle")
    _text(group, (RIGHT + 36, y + 4), f"{event.at:.0f} ms", "soft", "end")


def _faults(svg: Element, report: EventReport, until: float, height: float) -> None:
    for window in report.windows:
        begin, end = _x(window.begins, until), _x(window.ends, until)
        area = {"x": f"{begin:.1f}", "y": f"{HEAD - 12}", "width": f"{max(end - begin, 1):.1f}"}
        SubElement(svg, "rect", {"class": "fault", **area, "height": f"{height - HEAD - 14:.1f}"})
        _text(svg, (begin, 20), _short(window.name), "fault-name", "start")


def _axis(svg: Element, until: float, height: float) -> None:
    step = _step(until)
    for number in range(int(until / step) + 1):
        x = _x(number * step, until)
        SubElement(svg, "line", {"class": "grid", **_ends(x, HEAD - 4, x, height - 24)})
        _text(svg, (x, height - 8), _mark(number * step, until), "soft", "middle")


def _mark(at: float, until: float) -> str:
    return f"{at:g} ms" if until < _LONG else f"{at / 1000:g} s"


def _step(until: float) -> float:
    """Return the distance of ticks: 1, 2 or 5 times a power of ten milliseconds, so that there are at most eight."""
    factor = 1.0
    while True:
        for step in _STEPS:
            if until / (step * factor) <= _MOST_TICKS:
                return step * factor
        factor *= 10


def _x(at: float, until: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(max(at / until, 0.0), 1.0)


def _title(event: Arrival) -> str:
    return f"{event.type or '(no type)'} {event.place} at {event.at:.0f} ms\n{event.payload}"


def _picture(height: float, title: str) -> Element:
    svg = Element(
        "svg", {"viewBox": f"0 0 {WIDTH} {height:.0f}", "width": str(WIDTH), "height": f"{height:.0f}", "role": "img"}
    )
    SubElement(svg, "title").text = for_people(title)
    return svg


def _dot(svg: Element, x: float, y: float, kind: str, title: str) -> None:
    dot = SubElement(svg, "circle", {"class": kind, "cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "5"})
    SubElement(dot, "title").text = for_people(title)


def _text(parent: Element, at: tuple[float, float], text: str, kind: str, anchor: str) -> None:
    place = {"x": f"{at[0]:.1f}", "y": f"{at[1]:.1f}", "class": kind, "text-anchor": anchor}
    SubElement(parent, "text", place).text = for_people(text)


def _ends(x1: float, y1: float, x2: float, y2: float) -> dict[str, str]:
    return {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}


def _short(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
