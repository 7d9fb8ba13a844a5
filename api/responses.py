"""Build response bodies from the values that the use cases return."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict
from uuid import UUID

from api import operations_schemas, schemas, suite_schemas
from db.executions import Execution
from db.people import Quota, Usage
from db.pools import Pool
from model import execution as life
from model.fault import exit_code
from model.ids import short
from model.provenance import Provenance
from model.quantity import bytes_text, cpu_text
from model.request import TestType
from model.resources import Used as ResourcesUsed
from model.result import Outcome, Result, Summary
from model.runs import RunKind
from model.suite_windows import SuiteWindow
from orchestrator.kinds import ShownRun
from orchestrator.listing import Shown, ShownNode, Standing
from orchestrator.shown_suite import ShownSuite
from orchestrator.submit import Submitted
from orchestrator.suite_experiments import Carried

TESTS = "/api/v1/tests"
SUITES = "/api/v1/suites/runs"
RUNS = "/api/v1/runs"
EXPERIMENT_RUNS = "/api/v1/chaos/executions"
MIB = 2**20


def submitted(outcome: Submitted, status: life.Status, standing: Standing | None) -> schemas.TestResponse:
    """Return the response body of a submit."""
    own = f"{TESTS}/{outcome.execution_id}"
    return schemas.TestResponse(
        execution_id=outcome.execution_id,
        status=status,
        queue_position=standing.position if standing else None,
        estimated_start_time=standing.estimate.p50 if standing and standing.estimate else None,
        wait_reason=standing.reason if standing else "",
        warnings=list(outcome.warnings),
        links=schemas.SubmitLinks(self=own, logs=f"{own}/logs", cancel=f"{own}/cancel"),
    )


def execution(shown: Shown) -> schemas.TestExecution:
    """Return the response body of a run."""
    row = shown.execution
    ended = row.status.terminal
    estimate = shown.standing.estimate if shown.standing else None
    return schemas.TestExecution(
        execution_id=row.execution_id,
        short_id=short(row.execution_id),
        definition_id=row.definition_id,
        name=row.name,
        type=TestType(row.type),
        priority=row.priority,
        status=row.status,
        phase=row.phase,
        door=row.door,
        submitted_at=row.submitted_at,
        submitted_by=row.username,
        started_at=row.started_at,
        completed_at=row.completed_at,
        duration_seconds=shown.duration_seconds,
        retry_count=row.retry_count,
        failure_reason=row.failure_reason,
        detail=row.detail,
        exit_code=exit_code(row.status, row.failure_reason) if ended else None,
        cancel_requested=row.cancel_requested,
        queue_position=shown.standing.position if shown.standing else None,
        wait_reason=shown.standing.reason if shown.standing else "",
        estimated_start_time=estimate.p50 if estimate else None,
        estimated_start_time_p90=estimate.p90 if estimate else None,
        suite_run_id=row.suite_run_id,
        retried_from=row.retried_from,
        labels=dict(row.labels),
        tags=list(row.tags),
        progress=_progress(shown),
        resources=_resources(shown),
        provenance=_provenance(row.provenance),
        suggested=_suggested(shown.used),
        attempts=[_attempt(attempt) for attempt in shown.attempts],
        under_experiment=list(shown.under_experiment),
        links=_links(row.execution_id),
    )


def _suggested(used: ResourcesUsed | None) -> schemas.SuggestedOut | None:
    if used is None:
        return None
    return schemas.SuggestedOut(
        cpu_request=cpu_text(used.cpu_milli), memory_request=f"{-(-used.memory_bytes // MIB)}Mi", runs=used.runs
    )


def _provenance(found: Provenance) -> schemas.ProvenanceOut:
    return schemas.ProvenanceOut(commit=found.commit, content=found.content, tools=dict(found.tools))


def _links(execution_id: UUID) -> schemas.ExecutionLinks:
    own = f"{TESTS}/{execution_id}"
    names = ("logs", "metrics", "results", "artifacts", "cancel", "retry", "explanation")
    return schemas.ExecutionLinks(self=own, **{name: f"{own}/{name}" for name in names})


def _progress(shown: Shown) -> schemas.Progress:
    known = schemas.Progress.model_fields
    given = {key: shown.execution.progress.get(field.alias or key) for key, field in known.items()}
    return schemas.Progress(**{key: value for key, value in given.items() if isinstance(value, int)})


def summary(counted: Summary) -> schemas.Progress:
    """Return the response body of progress."""
    return schemas.Progress(
        total_tests=counted.total,
        completed=counted.completed,
        passed=counted.passed,
        failed=counted.failed,
        skipped=counted.skipped,
        percent_complete=counted.percent,
    )


def result(found: Result, failed_in_attempts: Sequence[int] = ()) -> schemas.ResultOut:
    """Return the response body of the result of one test. `failed_in_attempts`: earlier attempts in which it failed."""
    return schemas.ResultOut(
        name=found.name,
        status=found.outcome,
        duration_ms=found.duration_ms,
        kind=found.kind,
        flaky=found.flaky or (found.outcome is Outcome.PASSED and bool(failed_in_attempts)),
        failed_in_attempts=list(failed_in_attempts),
        error_message=found.message or None,
        stack_trace=found.trace or None,
        executed_at=found.executed_at,
        assertions=list(found.assertions),
    )


def _resources(shown: Shown) -> schemas.RunResources:
    used = usage(shown.execution)
    return schemas.RunResources(
        pod_name=shown.execution.pod_name,
        node_name=shown.execution.node_name,
        cpu_usage=_cores(used.cpu_milli),
        memory_usage=_mebibytes(used.memory_bytes),
        peak_cpu_usage=_cores(used.peak_cpu_milli),
        peak_memory_usage=_mebibytes(used.peak_memory_bytes),
    )


def _cores(milli: int | None) -> str | None:
    return None if milli is None else f"{milli}m"


def _mebibytes(size: int | None) -> str | None:
    return None if size is None else f"{-(-size // MIB)}Mi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """The resources that a run uses now, and their peaks. None means that a value was not measured."""

    cpu_milli: int | None = None
    memory_bytes: int | None = None
    cpu_seconds: float | None = None
    peak_cpu_milli: int | None = None
    peak_memory_bytes: int | None = None


def usage(row: Execution) -> Used:
    """Return the use of the running attempt as its worker last wrote it, or else that of the last attempt."""
    if row.status is life.Status.RUNNING:
        now = {key: value for key, value in row.progress.items() if isinstance(value, int | float)}
        return Used(
            cpu_milli=_whole(now.get("cpuMilli")),
            memory_bytes=_whole(now.get("memoryBytes")),
            cpu_seconds=now.get("cpuSeconds"),
            peak_cpu_milli=_whole(now.get("peakCpuMilli")),
            peak_memory_bytes=_whole(now.get("peakMemoryBytes")),
        )
    return Used(
        cpu_seconds=row.metrics.get("cpu_seconds"),
        peak_cpu_milli=_whole(row.metrics.get("peak_cpu_milli")),
        peak_memory_bytes=_whole(row.metrics.get("peak_memory_bytes")),
    )


def _whole(figure: float | None) -> int | None:
    return None if figure is None else int(figure)


def _attempt(attempt: life.Attempt) -> schemas.AttemptOut:
    verdict = attempt.verdict
    return schemas.AttemptOut(
        number=attempt.number,
        cause=attempt.cause,
        node=attempt.node,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        exit_code=attempt.exit_code,
        status=verdict.status if verdict else None,
        failure_reason=verdict.reason if verdict else None,
        detail=verdict.detail if verdict else "",
    )


def suite_run(shown: ShownSuite, warnings: Sequence[str] = ()) -> suite_schemas.SuiteRunOut:
    """Return the response body of a suite run."""
    run = shown.run
    own = f"{SUITES}/{run.suite_run_id}"
    return suite_schemas.SuiteRunOut(
        suite_run_id=run.suite_run_id,
        short_id=short(run.suite_run_id),
        name=run.name,
        status=schemas.SuiteStatus(shown.status),
        note=run.note,
        submitted_at=run.submitted_at,
        completed_at=run.completed_at,
        duration_seconds=shown.duration_seconds,
        cancel_requested=run.cancel_requested_at is not None,
        exit_code=shown.exit_code,
        counts=suite_schemas.SuiteCounts(**{status.value: number for status, number in shown.counts.items()}),
        executions=[execution(test) for test in shown.tests],
        experiment=None if shown.carried is None else _carried(shown.carried, run.window),
        warnings=list(warnings),
        links=suite_schemas.SuiteLinks(self=own, cancel=f"{own}/cancel", junit=f"{own}/junit"),
    )


def _carried(carried: Carried, window: SuiteWindow | None) -> suite_schemas.SuiteExperimentOut:
    experiment = carried.experiment
    again = {test.retried_from: test.execution_id for test in carried.tests}
    return suite_schemas.SuiteExperimentOut(
        execution_id=experiment.run_id,
        short_id=short(experiment.run_id),
        name=experiment.name,
        status=experiment.status,
        window=window or SuiteWindow.WAITING,
        step=experiment.step,
        validated=experiment.validated,
        detail=experiment.verdict.detail if experiment.verdict else "",
        tests=[
            suite_schemas.SuiteWindowTest(
                execution_id=test.execution_id,
                name=test.name,
                during=test.during,
                under_fault=test.under_fault,
                conclusion=carried.conclusions[test.execution_id],
                without_fault=again.get(test.execution_id),
            )
            for test in carried.tests
            if test.execution_id in carried.conclusions
        ],
        link=f"{EXPERIMENT_RUNS}/{experiment.run_id}",
    )


DETAILS = {RunKind.TEST: TESTS, RunKind.SUITE: SUITES, RunKind.EXPERIMENT: EXPERIMENT_RUNS}
"""Where the details of a run are, by kind; a kind that is not here has none."""


def run(shown: ShownRun, warnings: Sequence[str] = ()) -> schemas.RunOut:
    """Return the response body of a run of any kind."""
    row = shown.run
    return schemas.RunOut(
        run_id=row.id,
        short_id=short(row.id),
        kind=row.kind,
        title=shown.title,
        status=schemas.SuiteStatus(row.status),
        failure_reason=row.failure_reason,
        detail=row.detail,
        submitted_at=row.submitted_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
        cancel_requested=row.cancel_requested,
        parent_id=row.parent_id,
        exit_code=shown.exit_code,
        warnings=list(warnings),
        links=schemas.RunLinks(
            self=f"{RUNS}/{row.id}",
            details=f"{DETAILS.get(row.kind, RUNS)}/{row.id}",
            cancel=f"{RUNS}/{row.id}/cancel",
            retry=f"{RUNS}/{row.id}/retry",
        ),
    )


def node(shown: ShownNode) -> operations_schemas.NodeOut:
    """Return the response body of a node."""
    found, held, absence = shown.node, shown.held, shown.absence
    return operations_schemas.NodeOut(
        name=found.name,
        ready=found.ready,
        cpu_milli=found.capacity.cpu_milli,
        memory_bytes=found.capacity.memory_bytes,
        ephemeral_bytes=found.capacity.ephemeral_bytes,
        gpu=found.capacity.gpu,
        pods=found.pods,
        cpu_milli_held=held.resources.cpu_milli,
        memory_bytes_held=held.resources.memory_bytes,
        ephemeral_bytes_held=held.resources.ephemeral_bytes,
        gpu_held=held.resources.gpu,
        runs=held.runs,
        utilization=round(held.of(found), 3),
        labels=dict(found.labels),
        backend=found.backend,
        served=shown.served,
        absent_since=None if absence is None else absence.since,
        absent_seconds=None if absence is None else absence.counted.total_seconds(),
    )


def pool(found: Pool) -> operations_schemas.PoolOut:
    """Return the response body of a pool."""
    return operations_schemas.PoolOut(
        name=found.name,
        max_concurrent_tests=found.max_concurrent_tests,
        max_concurrent_experiments=found.max_concurrent_experiments,
        max_daily_tests=found.max_daily_tests,
        scheduling_interval_seconds=found.scheduling_interval_seconds,
        default_node_selector=dict(found.default_node_selector),
        enable_spot_instances=found.enable_spot_instances,
        target_node_utilization=found.target_node_utilization,
        strategy=found.strategy,
        ageing_limit_seconds=found.ageing_limit_seconds,
        fixed_nodes=found.fixed_nodes,
        profile=found.profile,
        candidates=found.candidates,
        backfill_after_seconds=found.backfill_after_seconds,
        half_life_seconds=found.half_life_seconds,
        preemption=found.preemption,
        min_runtime_seconds=found.min_runtime_seconds,
        **_ceilings(found),
    )


def quota_use(usage: Usage) -> operations_schemas.QuotaUse:
    """Return the response body of the limits and the use of a user or team."""
    quota, held = usage.quota, usage.held
    return operations_schemas.QuotaUse(
        name=usage.name,
        max_concurrent_tests=quota.max_concurrent_tests,
        max_daily_tests=quota.max_daily_tests,
        weight=quota.weight,
        concurrent=usage.concurrent,
        held=operations_schemas.HeldAmounts(
            cpu=cpu_text(held.cpu_milli),
            memory=bytes_text(held.memory_bytes),
            ephemeral_storage=bytes_text(held.ephemeral_bytes),
            gpu=held.gpu,
        ),
        today=usage.today,
        remaining_today=usage.remaining_today,
        **_ceilings(quota),
    )


class _Ceilings(TypedDict):
    max_cpu: str | None
    max_memory: str | None
    max_ephemeral_storage: str | None
    max_gpu: int | None


def _ceilings(limits: Pool | Quota) -> _Ceilings:
    cpu, memory, ephemeral = limits.max_cpu_milli, limits.max_memory_bytes, limits.max_ephemeral_bytes
    return {
        "max_cpu": None if cpu is None else cpu_text(cpu),
        "max_memory": None if memory is None else bytes_text(memory),
        "max_ephemeral_storage": None if ephemeral is None else bytes_text(ephemeral),
        "max_gpu": limits.max_gpu,
    }
