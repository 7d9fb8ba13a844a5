"""Write the outcome of an experiment as Markdown for Prefect. Names and reasons come from others: they are escaped."""

from collections.abc import Sequence

from chaos.journal import Journal
from chaos.provider import FaultStatus
from model.ids import SHORT_LENGTH
from reports.comparison import HEADS, rows
from reports.texts import for_markdown

MOST_TEXT = 400
NOTHING = "-"


def experiment_markdown(journal: Journal) -> str:
    """Return the outcome: the verdict with its reason, each part of the hypothesis, and each fault."""
    verdict = journal.verdict
    seconds = (journal.ended_at - journal.started_at).total_seconds()
    head = [
        f"# {_text(journal.experiment.name)}: {verdict.word}",
        "",
        _text(journal.reason) or NOTHING,
        "",
        f"{verdict.status} · exit code {verdict.exit_code} · took {seconds:.0f} s · run `{journal.execution_id}`",
    ]
    parts = (
        head,
        _comparison(journal),
        _hypothesis(journal),
        _budgets(journal),
        _faults(journal),
        _decisions(journal),
        _commands(journal),
    )
    return "\n".join(line for part in parts for line in part) + "\n"


def _hypothesis(journal: Journal) -> list[str]:
    parts = [
        (one.slo, str(one.judgement), _number(one.baseline), _number(one.fault), _number(one.recovery), one.reason)
        for one in journal.slos
    ]
    parts += [(one.check, str(one.judgement), NOTHING, NOTHING, NOTHING, one.reason) for one in journal.health]
    if not parts:
        return []
    heads = ("part", "judgement", "baseline", "fault", "recovery", "why")
    return ["", "## Hypothesis", "", *_table(heads, parts)]


def _comparison(journal: Journal) -> list[str]:
    if journal.comparison is None:
        return []
    said = _text(journal.comparison.sentence)
    return ["", "## Compared with the last run", "", said, "", *_table(HEADS, rows(journal.comparison))]


def _budgets(journal: Journal) -> list[str]:
    rows = [
        (one.slo, f"{one.window.days} days", _percent(one.planned), _percent(one.allowed), _percent(one.spent))
        for one in journal.bills
    ]
    heads = ("error budget of", "window", "planned at most", "allowed", "spent")
    return ["", "## Error budgets", "", *_table(heads, rows)] if rows else []


def _faults(journal: Journal) -> list[str]:
    rows = [(one.name, one.target, str(one.status), one.effect or NOTHING) for one in journal.faults]
    if not rows:
        return ["", "No fault was injected."]
    left = [_text(words) for one in journal.faults if one.status is FaultStatus.RESIDUAL for words in one.left]
    warning = ["", f"**Something is left:** {'; '.join(left)}"] if left else []
    return ["", "## Faults", "", *_table(("fault", "target", "status", "effect"), rows), *warning]


def _decisions(journal: Journal) -> list[str]:
    rows = [
        (record.step, line.check, str(line.outcome), line.sentence)
        for record in journal.decisions
        for line in record.lines
    ]
    heads = ("step", "safety check", "outcome", "why")
    return ["", "## Safety decisions", "", *_table(heads, rows)] if rows else []


def _commands(journal: Journal) -> list[str]:
    run = journal.execution_id.replace("-", "")[-SHORT_LENGTH:]
    return ["", f"In a shell: `assay chaos report {run} --output report.html` · `assay chaos show {run}`"]


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return [*lines, *("| " + " | ".join(_text(cell) for cell in row) + " |" for row in rows)]


def _text(text: str) -> str:
    return for_markdown(text, MOST_TEXT)


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2g}%"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4g}"
