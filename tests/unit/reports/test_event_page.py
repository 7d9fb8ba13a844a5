"""The page of an event-driven test: what it shows, and that nothing from the system under test becomes markup."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from reports.event_page import event_page
from reports.event_test import Arrival, EventReport, FaultWindow, Judged

HOSTILE = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "--></svg><iframe src=//evil.test>",
    "\x1b[31m\x00\ud800￾red",
    "]]>&lt;b&gt;",
]
KNOWN = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "span", "table", "thead", "tbody", "tr", "th",
    "td", "div", "pre", "svg", "line", "text", "g", "polygon", "circle", "rect",
}  # fmt: skip


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.classes: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.classes += [value or "" for name, value in attrs if name == "class"]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def arrival(number: int, **more: str) -> Arrival:
    values = {"type": "OrderPaid", "topic": "orders", "place": f"orders[0]@{number}", "payload": "{}"} | more
    return Arrival(number=number, at=10.0 * number, **values)


REPORT = EventReport(
    name="order",
    outcome="failed",
    ended_at=100.0,
    trigger="a message to orders",
    judged=(
        Judged(name="paid", outcome="passed", message="OrderPaid occurred", at=10.0, witnesses=(0,)),
        Judged(name="once", outcome="failed", message="twice", at=20.0, witnesses=(0, 1), notes=("a note",)),
    ),
    events=(arrival(0, source="shop"), arrival(1), arrival(2, topic="stock")),
)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_from_outside_becomes_markup(text: str) -> None:
    hostile = EventReport(
        name=text,
        outcome="failed",
        ended_at=1.0,
        trigger=text,
        judged=(
            Judged(name=text, outcome="failed", message=text, at=0.0, witnesses=(0,), notes=(text,), phases=(text,)),
        ),
        events=(arrival(0, type=text, topic=text, place=text, source=text, key=text, payload=text, poison=text),),
        windows=(FaultWindow(name=text, begins=0.0, ends=1.0),),
        warnings=(text,),
    )

    page = Page(event_page(hostile))

    assert set(page.tags) <= KNOWN
    assert not {name for name in page.attributes if name.startswith("on") or name in {"src", "href"}}
    assert "\x1b" not in "".join(page.texts)
    assert page.tags.count("style") == 1


def test_a_payload_is_shown_as_it_was() -> None:
    page = Page(event_page(replace(REPORT, events=(arrival(0, payload='{"a": "<b>"}'),))))

    assert '{"a": "<b>"}' in page.texts


def test_the_pictures_have_each_event_and_mark_those_that_failed_an_assertion() -> None:
    page = Page(event_page(REPORT))

    assert [page.classes.count(kind) for kind in ("message", "told", "bad", "dot")] == [1, 2, 2, 1]
    assert [page.classes.count(kind) for kind in ("o-passed", "o-failed")] == [1, 1]
    assert [name for name in ("shop", "unnamed sender", "orders", "stock") if name not in page.texts] == []


def test_a_fault_is_drawn_over_its_time() -> None:
    text = event_page(replace(REPORT, windows=(FaultWindow(name="broker 1 is down", begins=25.0, ends=75.0),)))

    assert '<rect class="fault" x="375.0" y="28" width="370.0"' in text


@pytest.mark.parametrize(("ended_at", "last"), [(0.4, "1 ms"), (100.0, "100 ms"), (3002.0, "3000 ms"), (7e6, "7000 s")])
def test_the_axis_has_few_round_marks(ended_at: float, last: str) -> None:
    page = Page(event_page(replace(REPORT, ended_at=ended_at, events=(), judged=())))
    marks = [text for text in page.texts if text.endswith((" ms", "0 s")) and text[0].isdigit()]

    assert len(marks) <= 10
    assert marks[-1] == last


def test_an_empty_test_has_a_page() -> None:
    page = Page(
        event_page(EventReport(name="x", outcome="vacuous", ended_at=0.0, trigger="none", judged=(), events=()))
    )

    assert "vacuous" in page.texts
