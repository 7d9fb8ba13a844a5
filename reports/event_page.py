"""Write an event-driven test as one HTML file without scripts: verdict, assertions, pictures, events.

Names, messages and payloads come from the system under test. The page is built as a tree, so that the writer escapes
each text and attribute, and its policy allows no script, no picture and no address.
"""

from xml.etree.ElementTree import Element, SubElement, tostring

from model.plural import counted
from reports.event_svg import sequence, timeline
from reports.event_test import Arrival, EventReport, Judged
from reports.texts import for_people

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_STYLE = """
:root{color-scheme:light dark;--page:#fff;--text:#1f2328;--soft:#59636e;--grid:#d1d9e0;--good:#0f8a5f;--bad:#c2410c;
--doubt:#9a6700;--line:#0b6fcb;--panel:#f6f8fa}
@media (prefers-color-scheme:dark){:root{--page:#0d1117;--text:#e6edf3;--soft:#9198a1;--grid:#30363d;--good:#3fca8f;
--bad:#ff9b5e;--doubt:#e3b341;--line:#58a6ff;--panel:#161b22}}
body{font:14px/1.45 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;background:var(--page);
color:var(--text)}
h1{font-size:1.4em;margin-bottom:.2em} h2{font-size:1.1em;margin-top:1.8em} .soft{color:var(--soft)}
table{border-collapse:collapse;width:100%} th,td{text-align:left;vertical-align:top;padding:.35em .6em;
border-bottom:1px solid var(--grid)} td{overflow-wrap:anywhere}
pre{margin:.3em 0 0;white-space:pre-wrap;overflow-wrap:anywhere;background:var(--panel);padding:.5em}
td:first-child,td:last-child.soft{white-space:nowrap}
.verdict{display:inline-block;font-weight:600;padding:.1em .6em;border-radius:.8em;border:1px solid}
.passed{color:var(--good)} .failed{color:var(--bad)} .inconclusive,.vacuous{color:var(--doubt)}
svg{max-width:100%;height:auto} svg text{font:12px system-ui,sans-serif;fill:var(--text)} svg .name{font-weight:600}
svg .soft{fill:var(--soft)} .sender{font-style:italic} .life{stroke:var(--grid);stroke-dasharray:4 4}
.grid{stroke:var(--grid)} .arrow{stroke:var(--line);stroke-width:1.5} .message polygon,.dot{fill:var(--line)}
.told .arrow{stroke:var(--bad);stroke-width:2.2} .told polygon,.bad,.o-failed{fill:var(--bad)}
.told .label{font-weight:600} .o-passed{fill:var(--good)} .o-inconclusive,.o-vacuous{fill:var(--doubt)}
.fault{fill:var(--bad);fill-opacity:.13} svg .fault-name{fill:var(--bad)}
"""


def event_page(report: EventReport) -> str:
    """Return the document."""
    root = Element("html", {"lang": "en"})
    head = SubElement(root, "head")
    SubElement(head, "meta", {"charset": "utf-8"})
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY})
    SubElement(head, "meta", {"name": "viewport", "content": "width=device-width"})
    _add(head, "title", f"{report.name}: {report.outcome}")
    SubElement(head, "style").text = _STYLE
    body = SubElement(root, "body")
    _heading(body, report)
    _assertions(body, report)
    if report.events:
        _add(body, "h2", "Sequence")
        body.append(sequence(report))
    _add(body, "h2", "Timeline")
    body.append(timeline(report))
    _events(body, report)
    return f"<!doctype html>\n{tostring(root, encoding='unicode', method='html')}\n"


def _heading(body: Element, report: EventReport) -> None:
    _add(body, "h1", report.name)
    line = SubElement(body, "p")
    _add(line, "span", report.outcome, f"verdict {report.outcome}")
    shown = len(report.events) + report.left_out
    passed = sum(one.passed for one in report.judged)
    _add(
        line,
        "span",
        f" {passed} of {len(report.judged)} passed, {counted(shown, 'event')}, {report.ended_at / 1000:.2f} s",
        "soft",
    )
    _add(body, "p", f"Trigger: {report.trigger}", "soft")
    for warning in report.warnings:
        _add(body, "p", f"Warning: {warning}", "inconclusive")


def _assertions(body: Element, report: EventReport) -> None:
    _add(body, "h2", "Assertions")
    rows = _table(body, ("outcome", "assertion", "what was found", "at"))
    places = {event.number: event for event in report.events}
    for one in report.judged:
        row = SubElement(rows, "tr")
        _add(row, "td", one.outcome, one.outcome)
        _add(row, "td", one.name)
        _found(SubElement(row, "td"), one, places)
        _add(row, "td", f"{one.at:.0f} ms", "soft")


def _found(cell: Element, one: Judged, places: dict[int, Arrival]) -> None:
    _add(cell, "div", one.message)
    for phase in one.phases:
        _add(cell, "div", phase)
    for number in one.witnesses:
        event = places.get(number)
        if event is not None:
            _add(cell, "div", f"{event.type or '(no type)'} {event.place} at {event.at:.0f} ms", "soft")
    for note in one.notes:
        _add(cell, "div", note, "soft")


def _events(body: Element, report: EventReport) -> None:
    _add(body, "h2", "Events")
    if report.left_out:
        _add(body, "p", f"{report.left_out} more events arrived; the recording has all of them.", "soft")
    if not report.events:
        _add(body, "p", "None arrived.", "soft")
        return
    rows = _table(body, ("at", "type", "where", "key", "payload"))
    for event in report.events:
        row = SubElement(rows, "tr")
        _add(row, "td", f"{event.at:.0f} ms", "soft")
        _add(row, "td", event.type or "(no type)", "failed" if event.number in report.telling else "")
        _add(row, "td", event.place, "soft")
        _add(row, "td", event.key)
        cell = SubElement(row, "td")
        if event.poison:
            _add(cell, "div", event.poison, "failed")
        _add(cell, "pre", event.payload)


def _table(body: Element, heads: tuple[str, ...]) -> Element:
    table = SubElement(body, "table")
    row = SubElement(SubElement(table, "thead"), "tr")
    for head in heads:
        _add(row, "th", head)
    return SubElement(table, "tbody")


def _add(parent: Element, tag: str, text: str, kind: str = "") -> None:
    element = SubElement(parent, tag, {"class": kind} if kind else {})
    element.text = for_people(text)
