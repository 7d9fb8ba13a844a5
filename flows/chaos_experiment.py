"""The flow of one chaos experiment: a fault under a hypothesis, with a sure way back and a verdict."""

from typing import Annotated, Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import WithJsonSchema

from chaos.experiment_reading import describe_experiment_schema
from flows import entry
from flows.experiment import driver
from flows.experiment.entry import enter
from flows.form import arranged
from flows.states import state_of

ExperimentParameter = Annotated[dict[str, Any] | None, WithJsonSchema(arranged(describe_experiment_schema()))]


@flow(name="chaos-experiment", validate_parameters=False, retries=0, persist_result=False)
async def chaos_experiment(experiment: ExperimentParameter = None, execution_id: UUID | None = None) -> State[None]:
    """Test one hypothesis under faults, and leave the targets as they were found.

    Its steps, in this order: safety-check, resolve-targets, admit, baseline, recheck, inject, observe, revert,
    recovery, judge, record.

    Args:
        experiment: What to do, as in `POST /api/v1/chaos/experiments`. Give either this or `execution_id`.
        execution_id: A run that was submitted by REST or the command; Assay fills it in by itself.

    """
    run = await enter(experiment, execution_id)
    if isinstance(run, entry.Refused):
        return run.state

    while (grant := await entry.admitted(run)) is not None:
        await driver.take(run, grant)  # all of its steps

    return state_of(await entry.verdict(run))
