"""Write the resilience of services as one self-contained HTML file."""

from collections.abc import Sequence
from datetime import datetime

from chaos.resilience import ServiceScore
from reports.html_page import escaped, page, table
from reports.resilience_svg import resilience_svg, said

NOTHING = "-"
WHAT = "From 0 to 100: what a service was shown to withstand lately, of all the faults that are possible there."


def resilience_html(scores: Sequence[ServiceScore], now: datetime) -> str:
    """Return the page: the picture, what was never tested, and where each score comes from."""
    parts = [
        f"<h1>Resilience</h1>\n<p class='soft'>{now:%Y-%m-%d %H:%M %Z}. {WHAT}</p>",
        resilience_svg(scores) if scores else "<p>No experiment has seen a service yet.</p>",
        _never(scores),
        *(_service(one) for one in scores),
    ]
    return page("Resilience", parts)


def _never(scores: Sequence[ServiceScore]) -> str:
    rows = [[escaped(one.service), escaped(", ".join(one.never))] for one in scores if one.never]
    return "<h2>Never tested</h2>\n" + table(("service", "types of faults, the heaviest first"), rows) if rows else ""


def _service(one: ServiceScore) -> str:
    before = one.trend[0].score if one.trend else one.score
    change = f"{one.score - before:+.0f} since {one.trend[0].at:%Y-%m-%d}" if one.trend else ""
    rows = [
        [
            escaped(cell.type),
            str(cell.weight),
            f"{100 * cell.credit:.0f}%",
            escaped(said(cell).partition(": ")[2]),
            escaped(cell.run or NOTHING),
        ]
        for cell in sorted(one.cells, key=lambda cell: (-cell.weight, cell.type))
    ]
    return (
        f"<h2>{escaped(one.service)}: {one.score:.0f}</h2>\n"
        f"<p class='soft'>{escaped(change)} · a verdict on {one.coverage:.0f}% of the weights</p>\n"
        + table(("fault", "weight", "credit", "what is known", "from the run"), rows)
    )
