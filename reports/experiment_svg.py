"""Draw the timeline of an experiment as one SVG: its phases, one diagram an SLO with samples and limits, its events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from chaos.hypothesis import Better, Slo, SloKind
from chaos.journal import EventKind, Journal
from chaos.windows import Window, values
from reports.simulation_svg import clock, nice, time_step
from reports.texts import for_xml

WIDTH, LEFT, RIGHT = 960, 72, 24
BAR, GAP, PANEL, FOOT = 30, 44, 130, 40
HEAD = 16
LONGEST_NAME = 60
STYLE = """
  .page{fill:#fff} .frame{fill:#f6f8fa} .text{fill:#1f2328} .soft{fill:#59636e} .grid{stroke:#d1d9e0}
  .fault-area{fill:#c2410c;fill-opacity:.10} .p0{fill:#dbe4ee} .p1{fill:#c9d6e4} .p-inject,.p-observe{fill:#f4c7ab}
  .p-revert{fill:#cfe8d5} .line{fill:none;stroke:#0b6fcb;stroke-width:1.6} .dot{fill:#0b6fcb} .bad{fill:#c2410c}
  .limit{stroke:#b42318;stroke-dasharray:6 4} .allowed{stroke:#0f8a5f;stroke-dasharray:3 3}
  .e-fault{stroke:#c2410c} .e-limit{stroke:#b42318} .e-person{stroke:#9d3fb8} .e-alert{stroke:#8a5a00}
  .e-step{stroke:#8b949e}
  text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-size:12px} .name{font-weight:600}
  @media (prefers-color-scheme: dark){
    .page{fill:#0d1117} .frame{fill:#161b22} .text{fill:#e6edf3} .soft{fill:#9198a1} .grid{stroke:#30363d}
    .p0{fill:#21303f} .p1{fill:#2b3d50} .p-inject,.p-observe{fill:#6b3a1c} .p-revert{fill:#1f4a2f}
    .line{stroke:#58a6ff} .dot{fill:#58a6ff} .bad{fill:#ff9b5e} .limit{stroke:#ff7b72} .allowed{stroke:#3fca8f}
  }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One reading. `y` is None where there was no data."""

    at: datetime
    y: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The scale of the time axis, from the start of the execution to its end."""

    begins: datetime
    seconds: float

    def x(self, at: datetime) -> float:
        """Return the x coordinate of a moment."""
        share = (at - self.begins).total_seconds() / self.seconds
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(share, 0.0), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """What is drawn of one SLO: its readings, and the lines that they may not pass."""

    title: str
    points: tuple[Point, ...]
    allowed: float | None
    limits: tuple[float, ...]
    y: float

    @property
    def top(self) -> float:
        """Return the value at the upper edge."""
        readings = [point.y for point in self.points if point.y is not None]
        most = max([*readings, self.allowed or 0.0, *self.limits, 0.0])
        return _rounded(most * 1.1) if most > 0 else 1.0


def _rounded(number: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten, also below 1."""
    factor = 1.0
    while number * factor < 1:
        factor *= 10
    return nice(number * factor) / factor


def experiment_svg(journal: Journal) -> str:
    """Return the timeline of an execution."""
    seconds = max((journal.ended_at - journal.started_at).total_seconds(), 1.0)
    axis = Axis(begins=journal.started_at, seconds=seconds)
    diagrams = _diagrams(journal)
    height = HEAD + BAR + GAP + len(diagrams) * (PANEL + GAP) + FOOT
    root = _canvas(height, f"timeline of {journal.experiment.name}")
    for diagram in diagrams:
        _frame(root, diagram)
    _fault_areas(root, journal, axis, height)
    _phases(root, journal, axis)
    for diagram in diagrams:
        _readings(root, diagram, axis)
    _events(root, journal, axis, height)
    _times(root, axis, height)
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _canvas(height: float, title: str) -> Element:
    size = {"width": str(WIDTH), "height": f"{height:g}", "viewBox": f"0 0 {WIDTH} {height:g}"}
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img"})
    SubElement(root, "title").text = for_xml(title)
    SubElement(root, "style").text = STYLE
    SubElement(root, "rect", {"class": "page", "width": "100%", "height": "100%"})
    return root


def _diagrams(journal: Journal) -> list[Diagram]:
    slos = [slo for slo in journal.experiment.hypothesis.slos if slo.name in journal.readings]
    return [_diagram(journal, slo, number) for number, slo in enumerate(slos)]


def _diagram(journal: Journal, slo: Slo, number: int) -> Diagram:
    ratio = slo.kind is SloKind.RATIO
    unit = "percent of bad requests" if ratio else slo.unit or "value"
    conditions = [one for one in journal.experiment.halt_conditions if one.slo == slo.name]
    limits = [bound for one in conditions for bound in (one.above, one.below) if bound is not None]
    return Diagram(
        title=f"{slo.name[:LONGEST_NAME]}, {unit}",
        points=_points(journal, slo),
        allowed=_allowed(journal, slo),
        limits=tuple(limits),
        y=HEAD + BAR + GAP + number * (PANEL + GAP),
    )


def _points(journal: Journal, slo: Slo) -> tuple[Point, ...]:
    readings = journal.readings[slo.name]
    if slo.kind is SloKind.RATIO:
        counts = [count for window in Window for count in readings.counts.get(window, ())]
        return tuple(
            Point(at=one.at, y=100 * (one.bad or 0.0) / one.total if one.present and one.total else None)
            for one in counts
        )
    samples = [sample for window in Window for sample in readings.samples.get(window, ())]
    return tuple(Point(at=one.at, y=one.value if one.present else None) for one in samples)


def _allowed(journal: Journal, slo: Slo) -> float | None:
    """Return the line that the tolerance draws: the error budget, or the baseline's median and the tolerance."""
    tolerance = journal.experiment.hypothesis.tolerance(slo)
    if slo.kind is SloKind.RATIO:
        return (100 - (slo.objective or 100)) * (1 + tolerance)
    baseline = sorted(values(journal.readings[slo.name].samples.get(Window.BASELINE, ())))
    if not baseline:
        return None
    middle = baseline[len(baseline) // 2]
    return middle * (1 - tolerance if slo.better is Better.HIGHER else 1 + tolerance)


def _frame(root: Element, diagram: Diagram) -> None:
    width = WIDTH - LEFT - RIGHT
    SubElement(root, "rect", {"class": "frame", **_box(LEFT, diagram.y, width, PANEL)})
    _text(root, (LEFT, diagram.y - 8), diagram.title, "text name")
    for part in range(5):
        y = diagram.y + PANEL * part / 4
        _line(root, (LEFT, y), (LEFT + width, y), "grid")
        _text(root, (LEFT - 8, y + 4), f"{diagram.top * (1 - part / 4):.4g}", "soft", anchor="end")


def _fault_areas(root: Element, journal: Journal, axis: Axis, height: float) -> None:
    for fault in journal.faults:
        if fault.injected_at is not None:
            left, right = axis.x(fault.injected_at), axis.x(fault.reverted_at or journal.ended_at)
            box = _box(left, HEAD + BAR, max(right - left, 1.0), height - FOOT - HEAD - BAR)
            area = SubElement(root, "rect", {"class": "fault-area", **box})
            SubElement(area, "title").text = for_xml(f"{fault.name} on {fault.target}: {fault.effect}")


def _phases(root: Element, journal: Journal, axis: Axis) -> None:
    for number, phase in enumerate(journal.phases):
        left, right = axis.x(phase.begins), axis.x(phase.ends)
        kind = f"p{number % 2} p-{phase.name if phase.name.isalpha() else 'step'}"
        box = SubElement(root, "rect", {"class": kind, **_box(left, HEAD, max(right - left, 0.5), BAR)})
        took = phase.ends - phase.begins
        SubElement(box, "title").text = for_xml(f"{phase.name}: {took.total_seconds():.1f} s")
        if right - left > 7 * len(phase.name):
            _text(root, ((left + right) / 2, HEAD + 19), phase.name, "text", anchor="middle")


def _readings(root: Element, diagram: Diagram, axis: Axis) -> None:
    for row in _rows(diagram.points):
        points = [(axis.x(point.at), _y(diagram, point.y or 0.0)) for point in row]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        SubElement(root, "polyline", {"class": "line", "points": drawn})
        for x, y in points:
            SubElement(root, "circle", {"class": "dot", "cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "1.8"})
    for point in diagram.points:
        if point.y is None:
            mark = SubElement(root, "rect", {"class": "bad", **_box(axis.x(point.at) - 1, diagram.y + PANEL - 4, 2, 4)})
            SubElement(mark, "title").text = "no data"
    lines = [(diagram.allowed, "allowed")] if diagram.allowed is not None else []
    for bound, kind in (*lines, *((limit, "limit") for limit in diagram.limits)):
        y = _y(diagram, bound)
        _line(root, (LEFT, y), (WIDTH - RIGHT, y), kind)
        _text(root, (WIDTH - RIGHT - 4, y - 4), f"{kind} {bound:.4g}", "soft", anchor="end")


def _rows(points: Sequence[Point]) -> list[list[Point]]:
    """Return the readings in rows without a gap: a line is not drawn over missing data."""
    rows: list[list[Point]] = [[]]
    for point in sorted(points, key=lambda one: one.at):
        if point.y is None:
            rows.append([])
        else:
            rows[-1].append(point)
    return [row for row in rows if row]


def _events(root: Element, journal: Journal, axis: Axis, height: float) -> None:
    for number, event in enumerate(one for one in journal.events if one.kind is not EventKind.STEP):
        x = axis.x(event.at)
        line = _line(root, (x, HEAD + BAR), (x, height - FOOT), f"e-{event.kind}")
        SubElement(line, "title").text = for_xml(f"{event.sentence}")
        _text(root, (x + 3, HEAD + BAR + 12 + 11 * (number % 2)), str(number + 1), "soft")


def _times(root: Element, axis: Axis, height: float) -> None:
    step = time_step(axis.seconds)
    for second in range(0, int(axis.seconds) + 1, step):
        x = axis.x(axis.begins + timedelta(seconds=second))
        _text(root, (x, height - FOOT + 18), clock(timedelta(seconds=second)), "soft", anchor="middle")


def _y(diagram: Diagram, value: float) -> float:
    return diagram.y + PANEL * (1 - min(max(value, 0.0) / diagram.top, 1.0))


def _box(x: float, y: float, width: float, height: float) -> dict[str, str]:
    return {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}"}


def _line(root: Element, start: tuple[float, float], end: tuple[float, float], kind: str) -> Element:
    (x1, y1), (x2, y2) = start, end
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    return SubElement(root, "line", {"class": kind, **ends})


def _text(root: Element, at: tuple[float, float], text: str, kind: str, anchor: str = "start") -> None:
    given = {"class": kind, "x": f"{at[0]:.1f}", "y": f"{at[1]:.1f}", "text-anchor": anchor}
    SubElement(root, "text", given).text = for_xml(text)
