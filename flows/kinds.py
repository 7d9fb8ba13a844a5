"""The flow of each kind of run: what the worker, the mirror, the reconciler and the deployments know of it.

A new kind is one more entry of `FLOWS`; what it can do besides stands in `orchestrator.kinds`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prefect.flows import Flow

from flows.entrypoints import SUITE_RUN, TEST_RUN
from flows.suite_run import suite_run
from flows.test_run import test_run
from model.ids import RunId
from model.runs import RunKind


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOfFlow:
    """The flow of a kind, and how a run of ours becomes a flow run.

    `parameter` takes the id of the run. `waits`: the flow run is shown as waiting until the gate has admitted the run;
    else it starts at once.
    """

    kind: RunKind
    flow: Flow[..., Any]
    entrypoint: str
    parameter: str
    waits: bool

    @property
    def deployment(self) -> str:
        """The deployment by which runs are mirrored that did not come from Prefect."""
        return f"{self.flow.name}/default"

    def parameters(self, run_id: RunId) -> dict[str, str]:
        """Return the parameters of the flow run of one run."""
        return {self.parameter: str(run_id)}


FLOWS: Mapping[RunKind, KindOfFlow] = {
    made.kind: made
    for made in (
        KindOfFlow(
            kind=RunKind.TEST,
            flow=test_run,
            entrypoint=TEST_RUN,
            parameter="execution_id",
            waits=True,
        ),
        KindOfFlow(
            kind=RunKind.SUITE,
            flow=suite_run,
            entrypoint=SUITE_RUN,
            parameter="suite_run_id",
            waits=False,
        ),
    )
}
