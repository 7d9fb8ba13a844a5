"""The flow of each kind of run: what worker, mirror, reconciler and deployments need to know of it.

A new kind is one more entry of `FLOWS`; what REST and the command do with it stands in `orchestrator.kinds`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from prefect.flows import Flow

from flows import attempts, steps
from flows.chaos_experiment import chaos_experiment
from flows.entry import Run
from flows.experiment import driver
from flows.fault_collector import SECONDS as COLLECT_SECONDS
from flows.fault_collector import FaultCollector
from flows.orphaned_suites import OrphanedSuites
from flows.periodic import Duty
from flows.suite_run import suite_run
from flows.test_run import test_run
from flows.worker_context import WorkerContext
from model.ids import RunId
from model.runs import RunKind
from orchestrator.lifecycle import Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What a run of a kind does once the gate has admitted it, without Prefect.

    `attempt` takes one attempt. `abandon` ends an attempt that this worker failed, and says why; when it returns,
    nothing of the attempt runs any more.
    """

    attempt: Callable[[Run, Grant], Awaitable[None]]
    abandon: Callable[[WorkerContext, Grant, str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOfFlow:
    """The flow of a kind, and how a run of ours becomes a flow run.

    `parameter` takes the id of the run. `steps` is None for a kind that is never queued: its flow run starts at once,
    and that of the others is shown as waiting until the gate has admitted the run. `duties` are what each worker does
    for this kind now and then.
    """

    kind: RunKind
    flow: Flow[..., Any]
    parameter: str
    steps: Steps | None = None
    duties: tuple[Duty, ...] = ()

    @property
    def waits(self) -> bool:
        """True if its runs wait in the queue."""
        return self.steps is not None

    @property
    def entrypoint(self) -> str:
        """Where Prefect finds the flow: `module.function`."""
        return f"{self.flow.fn.__module__}.{self.flow.fn.__name__}"

    @property
    def deployment(self) -> str:
        """The deployment by which runs are mirrored that did not come from Prefect."""
        return f"{self.flow.name}/default"

    def parameters(self, run_id: RunId) -> dict[str, str]:
        """Return the parameters of the flow run of one run."""
        return {self.parameter: str(run_id)}


SUITE_SECONDS = 10.0
"""Between two looks for suites whose worker is gone."""

FLOWS: Mapping[RunKind, KindOfFlow] = {
    made.kind: made
    for made in (
        KindOfFlow(
            kind=RunKind.TEST,
            flow=test_run,
            parameter="execution_id",
            steps=Steps(attempt=partial(attempts.take, shown=False), abandon=steps.abandon),
        ),
        KindOfFlow(
            kind=RunKind.SUITE,
            flow=suite_run,
            parameter="suite_run_id",
            duties=(
                Duty(seconds=SUITE_SECONDS, begin=lambda context, runner: OrphanedSuites(context, runner).take_over),
            ),
        ),
        KindOfFlow(
            kind=RunKind.EXPERIMENT,
            flow=chaos_experiment,
            parameter="execution_id",
            steps=Steps(attempt=partial(driver.take, shown=False), abandon=driver.abandon),
            duties=(
                Duty(seconds=COLLECT_SECONDS, begin=lambda context, runner: FaultCollector(context, runner).collect),
            ),
        ),
    )
}
ENTRYPOINTS = frozenset(kind.entrypoint for kind in FLOWS.values())
"""The flows of Assay, which every worker runs."""
