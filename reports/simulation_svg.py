"""Draw simulations as one SVG without external files: utilisation and queue over time, one colour a strategy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from reports.simulation import percent, span
from reports.texts import for_xml
from scheduler.simulation.report import Point, SimulationReport

WIDTH, LEFT, RIGHT = 960, 68, 28
HEAD, GAP, FOOT = 92, 46, 46
LEGEND = 24
MOST_TICKS = 8
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)
"""The possible distances between two marks of the time axis, in seconds."""
STYLE = """
  .page{fill:#ffffff} .frame{fill:#f6f8fa} .text{fill:#1f2328} .soft{fill:#59636e} .grid{stroke:#d1d9e0}
  .bound{stroke:#59636e}
  .s0{stroke:#0b6fcb;fill:#0b6fcb} .s1{stroke:#c2410c;fill:#c2410c} .s2{stroke:#0f8a5f;fill:#0f8a5f}
  .s3{stroke:#9d3fb8;fill:#9d3fb8}
  @media (prefers-color-scheme: dark){
    .page{fill:#0d1117} .frame{fill:#161b22} .text{fill:#e6edf3} .soft{fill:#9198a1} .grid{stroke:#30363d}
    .bound{stroke:#9198a1}
    .s0{stroke:#58a6ff;fill:#58a6ff} .s1{stroke:#ff9b5e;fill:#ff9b5e} .s2{stroke:#3fca8f;fill:#3fca8f}
    .s3{stroke:#d58be8;fill:#d58be8}
  }
  text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-size:13px}
  .title{font-size:19px;font-weight:600} .name{font-weight:600} .small{font-size:12px}
  .line{fill:none!important;stroke-opacity:.9;stroke-width:1.8;stroke-linejoin:round}
  .area{stroke:none!important;fill-opacity:.10} .dot{stroke:none}
  .grid{stroke-width:1} .bound{stroke-width:1.2;stroke-dasharray:4 4}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One diagram. Its axis goes from 0 to `top` with a mark at each `step`; all diagrams share the time axis."""

    title: str
    read: Callable[[Point], float]
    label: Callable[[float], str]
    top: float
    step: float
    y: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The scale of the time axis."""

    seconds: float

    def x(self, time: timedelta) -> float:
        """Return the x coordinate of a time, in pixels."""
        return LEFT + (WIDTH - LEFT - RIGHT) * time.total_seconds() / self.seconds


def svg(reports: Sequence[SimulationReport], title: str) -> str:
    """Return the SVG of one or more simulations of the same trace."""
    panels = _panels(reports)
    height = panels[-1].y + panels[-1].height + FOOT
    root = _canvas(height, title)
    scale = Scale(seconds=max(max(report.makespan for report in reports).total_seconds(), 1.0))
    _head(root, reports, title)
    for panel in panels:
        _frame(root, panel, scale)
        if len(reports) == 1:
            _area(root, panel, reports[0], scale)
        for number, report in enumerate(reports):
            _curve(root, panel, report, scale, number)
    _bound(root, panels, reports[0], scale)
    _times(root, panels[-1], scale)
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _canvas(height: float, title: str) -> Element:
    size = {"width": str(WIDTH), "height": f"{height:g}", "viewBox": f"0 0 {WIDTH} {height:g}"}
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img"})
    SubElement(root, "title").text = for_xml(title)
    SubElement(root, "style").text = STYLE
    SubElement(root, "rect", {"class": "page", "width": "100%", "height": "100%", "rx": "8"})
    return root


def _panels(reports: Sequence[SimulationReport]) -> list[Panel]:
    """Return the three diagrams, laid out below the legend."""
    most = max((point.queued for report in reports for point in report.timeline), default=0.0)
    step = nice(most / 5)
    top = step * max(1, -(-most // step))
    y = HEAD + LEGEND * len(reports) + 26
    cpu = _shares("CPU in use", lambda point: point.cpu, y, 150)
    memory = _shares("Memory in use", lambda point: point.memory, y + 150 + GAP, 110)
    waiting = Panel(
        title="Waiting runs",
        read=lambda point: point.queued,
        label=lambda number: f"{number:,g}",
        top=top,
        step=step,
        y=memory.y + memory.height + GAP,
        height=180,
    )
    return [cpu, memory, waiting]


def _shares(title: str, read: Callable[[Point], float], y: float, height: float) -> Panel:
    return Panel(title=title, read=read, label=lambda share: f"{share:.0%}", top=1.0, step=0.25, y=y, height=height)


def nice(number: float) -> float:
    """Round up to the next of 1, 2, 5, 10, 20, 50, ..."""
    step = 1.0
    while step < number:
        step *= 2.5 if f"{step:g}"[0] == "2" else 2
    return step


def clock(time: timedelta) -> str:
    """Return the label of a mark of the time axis: `0`, `90s`, `1h`, `1h30m`."""
    return span(time).replace("h00m", "h").replace("m00s", "m").replace("d00h", "d") if time else "0"


def time_step(seconds: float) -> int:
    """Return the distance between two marks of a time axis of this length, in seconds."""
    step = next((step for step in STEPS if seconds / step <= MOST_TICKS), STEPS[-1])
    return step * max(1, -(-int(seconds / MOST_TICKS) // step))


def _head(root: Element, reports: Sequence[SimulationReport], title: str) -> None:
    _text(root, (LEFT, 38), title, "text title")
    first = reports[0]
    under = f"{first.runs:,} runs on {first.nodes:,} nodes · profile {first.profile}"
    _text(root, (LEFT, 60), under, "soft")
    for number, report in enumerate(reports):
        y = HEAD + LEGEND * number
        SubElement(root, "rect", {"class": f"dot s{number % 4}", **_box(LEFT, y - 10, 22, 10), "rx": "3"})
        _text(root, (LEFT + 32, y), str(report.strategy), "text name")
        _text(root, (LEFT + 180, y), _sentence(report), "soft")


def _sentence(report: SimulationReport) -> str:
    return (
        f"wait p50 {span(report.waits.p50)}, p95 {span(report.waits.p95)} · CPU {percent(report.utilisation.cpu)}"
        f" · makespan {span(report.makespan)} · fairness {report.fairness:.3f}"
    )


def _frame(root: Element, panel: Panel, scale: Scale) -> None:
    """Draw the background, the marks and the title of a diagram."""
    width = WIDTH - LEFT - RIGHT
    SubElement(root, "rect", {"class": "frame", **_box(LEFT, panel.y, width, panel.height)})
    _text(root, (LEFT, panel.y - 10), panel.title, "text name")
    value = 0.0
    while value <= panel.top * 1.0001:
        y = _y(panel, value)
        _line(root, (LEFT, y), (LEFT + width, y), "grid")
        _text(root, (LEFT - 10, y + 4), panel.label(value), "soft small", anchor="end")
        value += panel.step
    for time in _marks(scale):
        _line(root, (scale.x(time), panel.y), (scale.x(time), panel.y + panel.height), "grid")


def _curve(root: Element, panel: Panel, report: SimulationReport, scale: Scale, number: int) -> None:
    """Draw the line of one strategy."""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in _points(panel, report, scale))
    line = SubElement(root, "polyline", {"class": f"line s{number % 4}", "points": points})
    SubElement(line, "title").text = f"{report.strategy}: {panel.title}"


def _area(root: Element, panel: Panel, report: SimulationReport, scale: Scale) -> None:
    """Fill the area below the line of the only strategy."""
    points = _points(panel, report, scale)
    floor = panel.y + panel.height
    corners = [(points[0][0], floor), *points, (points[-1][0], floor)] if points else []
    SubElement(root, "polygon", {"class": "area s0", "points": " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)})


def _points(panel: Panel, report: SimulationReport, scale: Scale) -> list[tuple[float, float]]:
    """Return the points of a line. Each mean is in the middle of its interval."""
    half = report.makespan / max(len(report.timeline), 1) / 2
    return [(scale.x(point.at + half), _y(panel, panel.read(point))) for point in report.timeline]


def _bound(root: Element, panels: Sequence[Panel], report: SimulationReport, scale: Scale) -> None:
    """Draw the lower bound of the makespan."""
    x = scale.x(report.bound.makespan)
    _line(root, (x, panels[0].y), (x, panels[-1].y + panels[-1].height), "bound")
    _text(root, (x - 6, panels[0].y - 10), "no schedule can end earlier", "soft small", anchor="end")


def _times(root: Element, panel: Panel, scale: Scale) -> None:
    y = panel.y + panel.height + 20
    for time in _marks(scale):
        _text(root, (scale.x(time), y), clock(time), "soft small", anchor="middle")
    _text(root, (LEFT + (WIDTH - LEFT - RIGHT) / 2, y + 19), "since the first arrival", "soft small", anchor="middle")


def _marks(scale: Scale) -> list[timedelta]:
    step = time_step(scale.seconds)
    return [timedelta(seconds=second) for second in range(0, int(scale.seconds) + 1, step)]


def _y(panel: Panel, value: float) -> float:
    return panel.y + panel.height * (1 - min(value / panel.top, 1.0))


def _box(x: float, y: float, width: float, height: float) -> dict[str, str]:
    return {"x": f"{x:g}", "y": f"{y:g}", "width": f"{width:g}", "height": f"{height:g}"}


def _line(root: Element, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
    (x1, y1), (x2, y2) = start, end
    SubElement(
        root, "line", {"class": kind, "x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    )


def _text(root: Element, at: tuple[float, float], text: str, kind: str, anchor: str = "start") -> None:
    given = {"class": kind, "x": f"{at[0]:.1f}", "y": f"{at[1]:.1f}", "text-anchor": anchor}
    SubElement(root, "text", given).text = for_xml(text)
