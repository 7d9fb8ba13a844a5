"""Write what changed since the last run of the same experiment: HTML, lines of Markdown, JSON values."""

from chaos.comparison import Change, Comparison
from model.json_values import JsonObject
from reports.html_page import escaped, table

COLOURS = {Change.WORSE: "bad", Change.BETTER: "good", Change.SAME: "soft", Change.UNCLEAR: "open"}
HEADS = ("part", "what", "the last time", "now", "same within", "change")


def rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return a row for each value, under `HEADS`."""
    return [
        (one.part, one.what, one.before, one.now, one.bound or "-", one.change.value) for one in comparison.differences
    ]


def comparison_html(comparison: Comparison | None) -> str:
    """Return a section of the report, empty without an earlier run."""
    if comparison is None:
        return ""
    cells = [
        [*(escaped(cell) for cell in row[:-1]), f"<span class='{COLOURS[one.change]}'><b>{row[-1]}</b></span>"]
        for row, one in zip(rows(comparison), comparison.differences, strict=True)
    ]
    said = f"{comparison.sentence}. The bounds come from {comparison.runs} earlier runs."
    return f"<h2>Compared with the last run</h2>\n<p>{escaped(said)}</p>\n" + table(HEADS, cells)


def comparison_json(comparison: Comparison | None) -> JsonObject | None:
    """Return the comparison as JSON values."""
    if comparison is None:
        return None
    return {
        "run": comparison.run,
        "endedAt": comparison.ended_at.isoformat(),
        "verdict": comparison.word,
        "earlierRuns": comparison.runs,
        "sentence": comparison.sentence,
        "differences": [
            {
                "part": one.part,
                "what": one.what,
                "before": one.before,
                "now": one.now,
                "bound": one.bound,
                "change": one.change.value,
                "sentence": one.sentence,
            }
            for one in comparison.differences
        ],
    }
