"""Write the report of an experiment: one self-contained HTML file, and the journal as JSON values."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import JsonValue

from chaos.experiment_reading import experiment_to_raw
from chaos.journal import EventKind, FaultRecord, Journal
from chaos.judge import Judgement, Readings, SloJudgement
from chaos.recovery import Times
from chaos.windows import Count, Sample, Window
from model.json_values import JsonObject
from reports.comparison import comparison_html, comparison_json
from reports.experiment_svg import experiment_svg
from reports.html_page import escaped, page, table

COLOURS = {Judgement.MET: "good", Judgement.NOT_MET: "bad", Judgement.INCONCLUSIVE: "open"}
NOTHING = "-"
VALIDATED = {True: "the hypothesis held", False: "the hypothesis did not hold", None: "nothing is known about it"}


def experiment_html(journal: Journal) -> str:
    """Return the report as one HTML file without any script, and without anything from another host."""
    parts = [
        _head(journal),
        "<h2>Timeline</h2>",
        experiment_svg(journal),
        _events(journal),
        comparison_html(journal.comparison),
        _slos(journal),
        _budgets(journal),
        _health(journal),
        _faults(journal),
        _targets(journal),
        _decisions(journal),
    ]
    return page(journal.experiment.name, parts)


def _head(journal: Journal) -> str:
    verdict = journal.verdict
    colour = {True: "good", False: "bad", None: "open"}[verdict.validated]
    title = journal.experiment.hypothesis.title or journal.experiment.description
    took = _seconds(journal.ended_at - journal.started_at)
    latencies = [
        f"{word} {_seconds(latency)}"
        for word, latency in (("abort to verified revert", journal.abort_latency), ("revert", journal.revert_latency))
        if latency is not None
    ]
    facts = " · ".join([f"{_moment(journal.started_at)}", f"took {took}", *latencies, journal.execution_id])
    return (
        f"<h1>{escaped(journal.experiment.name)}</h1>\n<p class='soft'>{escaped(title)}</p>\n"
        f"<p><span class='verdict {colour}'>{escaped(verdict.word)}</span> &nbsp; "
        f"{escaped(verdict.status)}, exit code {verdict.exit_code}: {VALIDATED[verdict.validated]}. "
        f"{escaped(journal.reason)}</p>\n<p class='soft'>{escaped(facts)}</p>"
    )


def _slos(journal: Journal) -> str:
    if not journal.slos:
        return ""
    found = {one.slo: one for one in journal.times}
    rows = [_slo_row(slo, found.get(slo.slo)) for slo in journal.slos]
    heads = ("objective", "verdict", "baseline", "fault", "recovery", "to detect", "to recover")
    return "<h2>Service level objectives</h2>\n" + table(heads, rows)


def _slo_row(slo: SloJudgement, times: Times | None) -> list[str]:
    advice = f"<br><span class='advice'>{escaped(slo.advice)}</span>" if slo.advice else ""
    noise = f"<br><span class='soft'>A/A check {escaped(slo.noise_check)}</span>" if slo.noise_check else ""
    return [
        f"<b>{escaped(slo.slo)}</b><br>{escaped(slo.reason)}{advice}{noise}",
        _judgement(slo.judgement),
        *(_number(value) for value in (slo.baseline, slo.fault, slo.recovery)),
        _duration(times.time_to_detect if times else None),
        _duration(times.time_to_recover if times else None),
    ]


def _budgets(journal: Journal) -> str:
    if not journal.bills:
        return ""
    rows = [
        [
            f"<b>{escaped(one.slo)}</b>",
            f"{one.window.days} days",
            f"up to {_percent(one.planned)}",
            _percent(one.allowed),
            f"<span class='{'bad' if one.over else 'good'}'>{_percent(one.spent)}</span>",
        ]
        for one in journal.bills
    ]
    return "<h2>Error budgets</h2>\n" + table(("objective", "window", "planned", "allowed", "spent"), rows)


def _health(journal: Journal) -> str:
    if not journal.health:
        return ""
    rows = [[escaped(one.check), _judgement(one.judgement), escaped(one.reason)] for one in journal.health]
    return "<h2>Health checks</h2>\n" + table(("check", "verdict", "under the fault"), rows)


def _faults(journal: Journal) -> str:
    if not journal.faults:
        return "<h2>Faults</h2>\n<p>None was injected.</p>"
    rows = [
        [
            escaped(one.name),
            escaped(one.target),
            escaped("; ".join([str(one.status), *one.left])),
            _clock(one.injected_at),
            _clock(one.reverted_at),
            escaped(one.effect),
        ]
        for one in journal.faults
    ]
    return "<h2>Faults</h2>\n" + table(("fault", "target", "status", "injected", "reverted", "effect"), rows)


def _targets(journal: Journal) -> str:
    resolution = journal.resolution
    if resolution is None:
        return ""
    rows = [[escaped(one.name), escaped(one.service), escaped(one.place)] for one in resolution.targets]
    share = "unknown" if resolution.traffic_share is None else f"{resolution.traffic_share:.1%}"
    callers = ", ".join(resolution.callers) or "none known"
    said = f"{len(resolution.targets)} of {resolution.of} that match; share of the traffic {share}; callers: {callers}"
    return f"<h2>Targets</h2>\n<p>{escaped(said)}</p>\n" + table(("target", "service", "place"), rows)


def _decisions(journal: Journal) -> str:
    rows = [
        [
            _clock(record.at),
            escaped(record.step),
            escaped(line.check),
            escaped(line.outcome),
            escaped(line.sentence),
        ]
        for record in journal.decisions
        for line in record.lines
    ]
    if not rows:
        return ""
    return "<h2>Safety decisions</h2>\n" + table(("at", "step", "check", "outcome", "why"), rows)


def _events(journal: Journal) -> str:
    shown = [event for event in journal.events if event.kind is not EventKind.STEP]
    rows = [
        [str(number), _clock(event.at), escaped(event.kind), escaped(event.sentence)]
        for number, event in enumerate(shown, start=1)
    ]
    return table(("", "at", "about", "what happened"), rows) if rows else ""


def _judgement(judgement: Judgement) -> str:
    return f"<span class='{COLOURS[judgement]}'><b>{escaped(judgement)}</b></span>"


def _number(value: float | None) -> str:
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.4g}"


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2g}%"


def _duration(value: timedelta | None) -> str:
    return NOTHING if value is None else _seconds(value)


def _seconds(value: timedelta) -> str:
    return f"{value.total_seconds():.1f} s"


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S %Z")


def _clock(at: datetime | None) -> str:
    return NOTHING if at is None else at.strftime("%H:%M:%S")


def journal_json(journal: Journal) -> JsonObject:
    """Return the journal as JSON values. Times are in UTC, durations in seconds, missing readings are null."""
    verdict, found = journal.verdict, {one.slo: one for one in journal.times}
    return {
        "executionId": journal.execution_id,
        "experiment": experiment_to_raw(journal.experiment),
        "status": verdict.status.value,
        "hypothesisValidated": verdict.validated,
        "verdict": verdict.word,
        "exitCode": verdict.exit_code,
        "reason": journal.reason,
        "startedAt": journal.started_at.isoformat(),
        "endedAt": journal.ended_at.isoformat(),
        "abortLatencySeconds": _plain_seconds(journal.abort_latency),
        "revertLatencySeconds": _plain_seconds(journal.revert_latency),
        "phases": [
            {"name": one.name, "begins": one.begins.isoformat(), "ends": one.ends.isoformat()} for one in journal.phases
        ],
        "events": [
            {"at": one.at.isoformat(), "kind": one.kind.value, "sentence": one.sentence} for one in journal.events
        ],
        "slos": [_slo_json(one, found.get(one.slo)) for one in journal.slos],
        "comparison": comparison_json(journal.comparison),
        "errorBudgets": [
            {
                "slo": one.slo,
                "windowDays": one.window.days,
                "plannedPercent": one.planned,
                "allowedPercent": one.allowed,
                "spentPercent": _finite(one.spent),
            }
            for one in journal.bills
        ],
        "healthChecks": [
            {"check": one.check, "judgement": one.judgement.value, "longestMiss": one.longest} for one in journal.health
        ],
        "faults": [_fault_json(one) for one in journal.faults],
        "readings": {name: _readings_json(one) for name, one in journal.readings.items()},
    }


def _slo_json(slo: SloJudgement, times: Times | None) -> JsonObject:
    seen = slo.comparison
    return {
        "slo": slo.slo,
        "judgement": slo.judgement.value,
        "reason": slo.reason,
        "advice": slo.advice,
        "baseline": _finite(slo.baseline),
        "fault": _finite(slo.fault),
        "recovery": _finite(slo.recovery),
        "timeToDetectSeconds": _plain_seconds(times.time_to_detect if times else None),
        "timeToRecoverSeconds": _plain_seconds(times.time_to_recover if times else None),
        "noiseCheck": slo.noise_check,
        "p": _finite(seen.p if seen else None),
        "smallestP": _finite(seen.reachable if seen else None),
        "worseBy": _finite(seen.worse_by if seen else None),
        "autocorrelation": _finite(seen.correlation if seen else None),
    }


def _fault_json(fault: FaultRecord) -> JsonObject:
    return {
        "name": fault.name,
        "type": fault.type,
        "target": fault.target,
        "status": fault.status.value,
        "injectedAt": fault.injected_at.isoformat() if fault.injected_at else None,
        "revertedAt": fault.reverted_at.isoformat() if fault.reverted_at else None,
        "effect": fault.effect,
        "left": list(fault.left),
    }


def _readings_json(readings: Readings) -> JsonObject:
    samples: JsonObject = {window.value: _samples_json(readings.samples.get(window, ())) for window in Window}
    counts: JsonObject = {window.value: _counts_json(readings.counts.get(window, ())) for window in Window}
    return {"samples": samples, "counts": counts}


def _samples_json(samples: Sequence[Sample]) -> list[JsonValue]:
    return [{"at": one.at.isoformat(), "value": _finite(one.value)} for one in samples]


def _counts_json(counts: Sequence[Count]) -> list[JsonValue]:
    return [{"at": one.at.isoformat(), "bad": _finite(one.bad), "total": _finite(one.total)} for one in counts]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _plain_seconds(value: timedelta | None) -> float | None:
    return None if value is None else value.total_seconds()
