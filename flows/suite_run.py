"""The flow of a suite: it submits all tests at once, waits for them, ends like the worst one, uses no capacity."""

from typing import Annotated, Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import WithJsonSchema

from flows import suites
from flows.form import arranged
from flows.states import state_of
from model.suite import describe_suite_schema

SuiteParameter = Annotated[dict[str, Any] | None, WithJsonSchema(arranged(describe_suite_schema()))]


@flow(name="suite-run", validate_parameters=False, retries=0, persist_result=False)
async def suite_run(suite: SuiteParameter = None, suite_run_id: UUID | None = None) -> State[None]:
    """Run all tests of a suite and end with the worst of their verdicts.

    Args:
        suite: Name and tests, as in `POST /api/v1/suites/runs`. Give either this or `suite_run_id`.
        suite_run_id: A suite run that was submitted by REST or the command; Assay fills it in by itself.

    """
    run = await suites.enter(suite, suite_run_id)
    if isinstance(run, suites.NotRun):
        return run.state

    await suites.all_ended(run)
    await suites.show(run)

    return state_of(await suites.worst(run))
