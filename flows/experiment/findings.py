"""What an execution leaves: its journal, its report, and the metrics of its three windows."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from chaos.comparison import Result, SloResult, compare
from chaos.journal import FaultRecord, Journal
from chaos.judge_experiment import Evidence, JudgedExperiment
from chaos.observed import Observed, Span
from chaos.price import bills
from chaos.verdict import End, Verdict
from chaos.windows import Window
from db.chaos_faults import FaultRow
from db.chaos_history import EarlierRun
from db.chaos_runs import Findings, Metric
from flows.experiment.run import ExperimentRun
from orchestrator.game_days import earlier_result
from reports.experiment import experiment_html, journal_json


def evidence(run: ExperimentRun, faults: Sequence[FaultRow] = ()) -> Evidence:
    """Return what the experiment is judged by."""
    return Evidence(
        experiment=run.experiment,
        seen=run.observer.seen if run.observer else Observed(),
        spans=dict(run.spans),
        reverted_at=run.reverted_at,
        without_effect=tuple(row.name for row in faults if row.injected_at and not row.effect_seen),
        broke_off=run.broke_off,
    )


def recovering(run: ExperimentRun) -> Evidence:
    """Return the same while the system recovers: the last window ends now."""
    if run.reverted_at is not None:
        run.spans[Window.RECOVERY] = Span(begins=run.reverted_at, ends=run.context.now())
    return evidence(run)


def findings(run: ExperimentRun, journal: Journal) -> Findings:
    """Return everything that is written down at the end."""
    return Findings(
        ending=str(run.state.end or End.INFRASTRUCTURE),
        validated=journal.verdict.validated,
        metrics=tuple(
            Metric(name=one.slo, baseline=one.baseline, fault=one.fault, recovery=one.recovery) for one in journal.slos
        ),
        journal=journal_json(journal),
        report=experiment_html(journal),
    )


def journal_of(run: ExperimentRun, faults: Sequence[FaultRow], verdict: Verdict, reason: str) -> Journal:
    """Return the journal of an execution that has ended."""
    judged: JudgedExperiment | None = run.judged
    return Journal(
        execution_id=str(run.grant.execution_id),
        experiment=run.experiment,
        verdict=verdict,
        reason=reason,
        started_at=run.started_at,
        ended_at=run.context.now(),
        phases=run.phases,
        events=tuple(run.events),
        readings=judged.readings if judged else {},
        slos=judged.slos if judged else (),
        health=judged.health if judged else (),
        times=judged.times if judged else (),
        bills=bills(run.experiment, judged.times if judged else (), run.budget_allowed),
        resolution=run.resolution,
        decisions=run.decisions,
        faults=tuple(_record(row) for row in faults),
        abort_latency=_since(run, run.stop_wished_at) if run.injected_at else None,
        revert_latency=_since(run, run.reverting_since),
    )


def compared(run: ExperimentRun, journal: Journal, earlier: Sequence[EarlierRun]) -> Journal:
    """Return the journal with its comparison with the last run of the same experiment."""
    spent = {one.slo: one.spent for one in journal.bills}
    timed = {one.slo: one for one in journal.times}
    now = Result(
        run=journal.execution_id,
        ended_at=journal.ended_at,
        word=journal.verdict.word,
        validated=journal.verdict.validated,
        timed=run.state.end is End.JUDGED and bool(timed),
        slos=tuple(
            SloResult(
                slo=one.slo,
                judgement=one.judgement,
                detect=_seconds(timed[one.slo].time_to_detect) if one.slo in timed else None,
                recover=_seconds(timed[one.slo].time_to_recover) if one.slo in timed else None,
                budget=spent.get(one.slo),
            )
            for one in journal.slos
        ),
    )
    results = [earlier_result(one) for one in earlier]
    hypothesis = run.experiment.hypothesis
    return replace(journal, comparison=compare(now, hypothesis.slos, run.experiment.recovery, results))


def _seconds(value: timedelta | None) -> float | None:
    return None if value is None else value.total_seconds()


def _since(run: ExperimentRun, moment: datetime | None) -> timedelta | None:
    if moment is None or run.reverted_at is None:
        return None
    return run.reverted_at - moment


def _record(row: FaultRow) -> FaultRecord:
    return FaultRecord(
        name=row.name,
        type=row.type,
        target=f"{row.target.place}/{row.target.name}",
        status=row.status,
        injected_at=row.injected_at,
        reverted_at=row.reverted_at,
        effect=row.effect or "",
        left=row.remains,
    )
