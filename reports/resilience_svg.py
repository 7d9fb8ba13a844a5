"""Draw the resilience of services: a row each, a field for each fault type, the score and its trend beside it."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from chaos.fault_types import FaultType
from chaos.resilience import Cell, CellState, ServiceScore
from reports.texts import for_xml

LEFT, FIELD, ROW, TREND, HEAD, FOOT = 250, 62, 34, 130, 92, 34
SCORE = 64
LONGEST_NAME = 34
STYLE = """
  .page{fill:#fff} .text{fill:#1f2328} .soft{fill:#59636e} .t-held{fill:#0f8a5f} .t-failed{fill:#b42318}
  .t-stale{fill:#8a5a00} .t-never{fill:none;stroke:#8b949e;stroke-dasharray:3 3} .none{fill:#f0f2f4}
  .trend{fill:none;stroke:#0b6fcb;stroke-width:1.6} .dot{fill:#0b6fcb} .grid{stroke:#d1d9e0} .on{fill:#fff}
  text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-size:12px} .name{font-weight:600}
  @media (prefers-color-scheme: dark){
    .page{fill:#0d1117} .text{fill:#e6edf3} .soft{fill:#9198a1} .none{fill:#161b22} .grid{stroke:#30363d}
    .trend{stroke:#58a6ff} .dot{fill:#58a6ff}
  }
"""
FAINTEST = 0.35
"""The opacity of a field without any credit, so that its colour is still seen."""


def resilience_svg(scores: Sequence[ServiceScore]) -> str:
    """Return the picture. The colour of a field is its state, its strength the credit, its number the percent of it."""
    types = sorted({cell.type for one in scores for cell in one.cells})
    width = LEFT + len(types) * FIELD + SCORE + TREND + 16
    height = HEAD + len(scores) * ROW + FOOT
    size = {"width": str(width), "height": str(height), "viewBox": f"0 0 {width} {height}"}
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img"})
    SubElement(root, "title").text = "resilience of services by type of fault"
    SubElement(root, "style").text = STYLE
    SubElement(root, "rect", {"class": "page", "width": "100%", "height": "100%"})
    _heads(root, types)
    for number, one in enumerate(scores):
        _row(root, one, types, HEAD + number * ROW)
    _legend(root, HEAD + len(scores) * ROW + 20)
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _heads(root: Element, types: Sequence[FaultType]) -> None:
    for number, kind in enumerate(types):
        x = LEFT + number * FIELD + FIELD / 2
        for line, word in enumerate(_words(kind)):
            _text(root, (x, HEAD - 36 + 13 * line), word, "soft", "middle")
    end = LEFT + len(types) * FIELD
    _text(root, (end + SCORE - 10, HEAD - 10), "score", "soft", "end")
    _text(root, (end + SCORE + 6, HEAD - 10), "trend, by week", "soft", "start")


def _words(kind: FaultType) -> list[str]:
    """Return the name of a type in lines that fit above a field."""
    return [word[:9] for word in kind.value.split("-")][:3]


def _row(root: Element, one: ServiceScore, types: Sequence[FaultType], y: float) -> None:
    cells = {cell.type: cell for cell in one.cells}
    name = one.service if len(one.service) <= LONGEST_NAME else "..." + one.service[-LONGEST_NAME:]
    _text(root, (LEFT - 10, y + 21), name, "text name", "end")
    for number, kind in enumerate(types):
        _field(root, cells.get(kind), (LEFT + number * FIELD, y))
    end = LEFT + len(types) * FIELD
    _text(root, (end + SCORE - 10, y + 21), f"{one.score:.0f}", "text name", "end")
    _trend(root, one, (end + SCORE + 6, y))


def _field(root: Element, cell: Cell | None, corner: tuple[float, float]) -> None:
    x, y = corner
    box = {"x": f"{x + 2:g}", "y": f"{y + 2:g}", "width": str(FIELD - 4), "height": str(ROW - 4), "rx": "3"}
    if cell is None:
        SubElement(root, "rect", {"class": "none", **box})
        return
    state = "never" if cell.state is CellState.NEVER else cell.state.value
    opacity = {} if state == "never" else {"fill-opacity": f"{FAINTEST + (1 - FAINTEST) * cell.credit:.2f}"}
    field = SubElement(root, "rect", {"class": f"t-{state}", **box, **opacity})
    SubElement(field, "title").text = for_xml(said(cell))
    if state != "never":
        _text(root, (x + FIELD / 2, y + 21), f"{100 * cell.credit:.0f}", "text", "middle")


def said(cell: Cell) -> str:
    """Return what is known about a fault type, in one sentence."""
    fails = "" if cell.fails_at is None else f", fails at a magnitude of {cell.fails_at:.2f}"
    when = "" if cell.at is None else f" on {cell.at:%Y-%m-%d}"
    match cell.state:
        case CellState.NEVER:
            tries = f"; {cell.without_verdict} tries without a verdict" if cell.without_verdict else ""
            return f"{cell.type}: never tested{tries}"
        case CellState.FAILED:
            return f"{cell.type}: failed{when}{fails}"
        case _:
            return f"{cell.type}: {cell.state} at a magnitude of {cell.magnitude:.2f}{when}{fails}"


def _trend(root: Element, one: ServiceScore, corner: tuple[float, float]) -> None:
    x, y = corner
    width, height = TREND - 10, ROW - 10
    for share in (0.0, 1.0):
        level = f"{y + 5 + height * share:g}"
        SubElement(root, "line", {"class": "grid", "x1": f"{x:g}", "x2": f"{x + width:g}", "y1": level, "y2": level})
    steps = max(len(one.trend) - 1, 1)
    points = [
        (x + width * number / steps, y + 5 + height * (1 - point.score / 100)) for number, point in enumerate(one.trend)
    ]
    SubElement(root, "polyline", {"class": "trend", "points": " ".join(f"{px:.1f},{py:.1f}" for px, py in points)})
    if points:
        last, y_now = points[-1]
        SubElement(root, "circle", {"class": "dot", "cx": f"{last:.1f}", "cy": f"{y_now:.1f}", "r": "2.5"})


def _legend(root: Element, y: float) -> None:
    words = "numbers: credit in percent. Green: held. Brown: held over 30 days ago. Red: failed. Dashed: never tested."
    _text(root, (16, y), words, "soft", "start")


def _text(root: Element, at: tuple[float, float], words: str, kind: str, anchor: str) -> None:
    x, y = at
    SubElement(root, "text", {"class": kind, "x": f"{x:g}", "y": f"{y:g}", "text-anchor": anchor}).text = for_xml(words)
