"""The page about resilience: one file, a picture in which everything is seen, and text that stays text."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from chaos.fault_types import FaultType
from chaos.resilience import ServiceScore, Trial, with_trend
from reports.resilience import resilience_html
from reports.resilience_svg import resilience_svg

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOSTILE = "local/shop/<script>alert(1)</script>"


def scores() -> list[ServiceScore]:
    def trial(service: str, kind: FaultType, days: int, held: bool) -> Trial:  # noqa: FBT001  a table
        at = NOW - timedelta(days=days)
        return Trial(run="run-1", service=service, type=kind, at=at, magnitude=0.8, held=held)

    trials = [
        trial("local/shop/payments", FaultType.POD_KILL, 3, held=True),
        trial("local/shop/payments", FaultType.NETWORK_LATENCY, 50, held=True),
        trial("local/shop/payments", FaultType.CPU_STRESS, 1, held=False),
    ]
    return [with_trend(name, trials, tuple(FaultType), NOW, 12) for name in ("local/shop/payments", HOSTILE)]


def test_the_page_needs_nothing_from_elsewhere_and_says_what_was_never_tested() -> None:
    page = resilience_html(scores(), NOW)

    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "Never tested" in page
    for words in ("fails at a magnitude of 0.80", "stale at a magnitude of 0.80 on 2026-10-11", "since 2026-09-07"):
        assert words in page
    assert "No experiment has seen a service yet" in resilience_html([], NOW)


def test_the_picture_has_a_field_for_each_type_and_its_state() -> None:
    root = ET.fromstring(resilience_svg(scores()))  # noqa: S314  our own
    kinds = [str(element.get("class")) for element in root.iter() if element.get("class")]
    width, height = float(root.attrib["width"]), float(root.attrib["height"])

    assert [kinds.count(f"t-{state}") for state in ("held", "stale", "failed", "never")] == [1, 1, 1, 17]
    assert kinds.count("trend") == 2
    for element in root.iter():
        for key, most in (("x", width), ("cx", width), ("y", height), ("cy", height)):
            if key in element.attrib:
                assert 0 <= float(element.attrib[key]) <= most
