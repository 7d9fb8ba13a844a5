"""Tests of simulations as tables, Markdown, JSON values and a picture."""

import re
from dataclasses import replace
from datetime import timedelta
from xml.etree.ElementTree import Element, fromstring

import pytest

from reports.simulation import as_markdown, as_raw, percent, span, tables
from reports.simulation_svg import clock, nice, svg, time_step
from scheduler.simulation.report import Bound, Point, SimulationReport, Unplaced, Utilisation, Waits
from scheduler.values.pool import Strategy
from scheduler.values.reasons import Code

WAITS = Waits(
    runs=3,
    mean=timedelta(seconds=6.5),
    p50=timedelta(seconds=8),
    p95=timedelta(seconds=71),
    longest=timedelta(seconds=71),
)
REPORT = SimulationReport(
    strategy=Strategy.FIFO,
    profile="default",
    runs=4,
    nodes=2,
    waits=WAITS,
    by_priority=((3, WAITS),),
    by_team=(("a<b>|&", WAITS),),
    slowdown=1.3,
    utilisation=Utilisation(cpu=0.5, memory=0.25),
    makespan=timedelta(seconds=20),
    bound=Bound(makespan=timedelta(seconds=16), because="CPU"),
    fairness=0.9,
    fragmentation=0.125,
    unplaced=(Unplaced(code=Code.TOO_LARGE, text="needs more <CPU>", runs=1),),
    backfilled=2,
    preemptions=1,
    passes=9,
    timeline=(
        Point(at=timedelta(), cpu=0.0, memory=0.0, queued=0),
        Point(at=timedelta(seconds=10), cpu=1.0, memory=0.5, queued=12.5),
    ),
)
OTHER = replace(REPORT, strategy=Strategy.PRIORITY, makespan=timedelta(seconds=40), unplaced=())


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in parsed(picture).iter("{http://www.w3.org/2000/svg}text")]


def parsed(picture: str) -> Element:
    return fromstring(picture)  # noqa: S314  our own picture


def lines(picture: str) -> list[Element]:
    return list(parsed(picture).iter("{http://www.w3.org/2000/svg}polyline"))


def test_one_strategy_is_shown_with_all_of_its_waits() -> None:
    figures, priority, team, unplaced = tables([REPORT])

    assert ("wait, p95", "1m11s") in figures.rows
    assert ("lower bound", "16s") in figures.rows
    assert ("bound set by", "CPU") in figures.rows
    assert "GPU utilisation" not in {row[0] for row in figures.rows}
    assert priority.rows == (("priority 3", "3", "6.5s", "8s", "1m11s", "1m11s"),)
    assert team.rows[0][0] == "team a<b>|&"
    assert unplaced.rows == (("unplaced FIFO", "1", "needs more <CPU>"),)


def test_several_strategies_stand_side_by_side() -> None:
    figures, priority, *_ = tables([REPORT, OTHER])

    assert figures.headings == ("strategy", "FIFO", "PRIORITY")
    assert ("makespan by bound", "1.250", "2.500") in figures.rows
    assert priority.rows == (("priority 3", "1m11s", "1m11s"),)
    assert all(len(row) == 3 for row in figures.rows)


def test_a_table_shows_fifty_rows_and_says_how_many_more() -> None:
    many = replace(REPORT, by_team=tuple((f"t{i}", WAITS) for i in range(60)))

    team = tables([many])[2]

    assert len(team.rows) == 51
    assert team.rows[-1] == ("and 10 more",)


def test_markdown_escapes_untrusted_text() -> None:
    text = as_markdown([REPORT])

    assert "| team a&lt;b&gt;\\|&amp; | 3 |" in text
    assert "<CPU>" not in text


def test_json_has_every_figure_in_seconds_and_shares() -> None:
    raw = as_raw(REPORT)

    assert raw["waits"] == {
        "runs": 3,
        "meanSeconds": 6.5,
        "p50Seconds": 8.0,
        "p95Seconds": 71.0,
        "longestSeconds": 71.0,
    }
    assert raw["lowerBound"] == {"makespanSeconds": 16.0, "because": "CPU"}
    assert raw["utilisation"] == {"cpu": 0.5, "memory": 0.25}
    assert raw["unplaced"] == [{"code": "too_large", "reason": "needs more <CPU>", "runs": 1}]
    assert raw["timeline"] == [
        {"atSeconds": 0.0, "cpu": 0.0, "memory": 0.0, "queued": 0},
        {"atSeconds": 10.0, "cpu": 1.0, "memory": 0.5, "queued": 12.5},
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.44, "0.4s"),
        (59.94, "59.9s"),
        (59.97, "1m00s"),
        (725, "12m05s"),
        (3599.7, "1h00m"),
        (12_000, "3h20m"),
        (86_399, "1d00h"),
        (187_200, "2d04h"),
    ],
)
def test_times_are_written_in_two_units(seconds: float, text: str) -> None:
    assert span(timedelta(seconds=seconds)) == text


def test_shares_are_written_in_percent() -> None:
    assert percent(0.8766) == "87.7 %"


def test_the_picture_is_well_formed_and_escapes_untrusted_text() -> None:
    picture = svg([REPORT], 'a<b>&"\x00\x1b[31m</text><script>alert(1)</script>')

    assert not list(parsed(picture).iter("{http://www.w3.org/2000/svg}script"))
    assert texts(picture)[0] == 'a<b>&"</text><script>alert(1)</script>'
    assert not re.search(r"(href|url\(|@import|src)", picture)


def test_each_of_the_three_diagrams_has_a_labelled_line_for_each_strategy() -> None:
    picture = svg([REPORT, OTHER], "two")
    kinds = [line.attrib["class"] for line in lines(picture)]

    assert sorted(kinds) == ["line s0"] * 3 + ["line s1"] * 3
    assert {"FIFO", "PRIORITY", "CPU in use", "Memory in use", "Waiting runs", "since the first arrival"} <= set(
        texts(picture)
    )


def test_the_picture_is_to_scale() -> None:
    """The line has two points for 20 s, each in the middle of its half, at 0 % and at 100 % of the CPU."""
    first, second = (
        tuple(map(float, point.split(","))) for point in lines(svg([REPORT], "x"))[0].attrib["points"].split()
    )

    left, right = 68, 960 - 28
    assert (first[0], second[0]) == (left + (right - left) * 0.25, left + (right - left) * 0.75)
    assert first[1] - second[1] == 150


def test_a_simulation_without_runs_has_a_picture() -> None:
    nothing = replace(REPORT, timeline=(), makespan=timedelta(), bound=Bound(makespan=timedelta(), because="CPU"))

    assert len(lines(svg([nothing, nothing], "x"))) == 6
    assert parsed(svg([nothing], "x")).tag.endswith("svg")


def test_axes_have_few_marks_with_round_values() -> None:
    assert [nice(number) for number in (0, 0.3, 1, 1.1, 3, 7, 12, 30, 51, 120)] == [1, 1, 1, 2, 5, 10, 20, 50, 100, 200]
    for seconds in (1, 7, 100, 4000, 86_400, 1e7, 1e9):
        assert seconds / time_step(seconds) <= 8
    assert [time_step(seconds) for seconds in (8, 480, 15_000)] == [1, 60, 3600]
    assert [clock(timedelta(seconds=seconds)) for seconds in (0, 3600, 5400, 300)] == ["0", "1h", "1h30m", "5m"]
