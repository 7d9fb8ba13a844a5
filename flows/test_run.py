"""The flow of one test run, which the Prefect UI shows, a schedule starts, and a CI job waits for."""

from typing import Annotated, Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import WithJsonSchema

from flows import attempts, entry
from flows.form import arranged
from flows.states import state_of
from model.check import describe_schema

TestParameter = Annotated[dict[str, Any] | None, WithJsonSchema(arranged(describe_schema()))]
"""A raw mapping on purpose: `model.check` finds every problem at once, which Prefect's own check does not."""


@flow(name="test-run", validate_parameters=False, retries=0, persist_result=False)
async def test_run(test: TestParameter = None, execution_id: UUID | None = None) -> State[None]:  # noqa: PT028  a flow
    """Run one test and end with its verdict.

    Its steps, in this order: validate, check-quota, gate, place, launch, watch, collect, record.

    Args:
        test: What to run, as in `POST /api/v1/tests`. Give either this or `execution_id`.
        execution_id: A run that was submitted by REST or the command; Assay fills it in by itself.

    """
    run = await entry.enter(test, execution_id)  # validate, check-quota
    if isinstance(run, entry.Refused):
        return run.state

    while (grant := await entry.admitted(run)) is not None:  # gate, place
        await attempts.take(run, grant)  # launch, watch, collect, record

    return state_of(await entry.verdict(run))


test_run.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest thinks of the name
