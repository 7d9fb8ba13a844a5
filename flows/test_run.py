"""The flow of one test run: what the Prefect UI shows, a schedule starts and a CI job waits for."""

from typing import Annotated, Any
from uuid import UUID

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from pydantic import WithJsonSchema

from flows import entry, steps
from flows.form import arranged
from flows.states import state_of
from model.check import describe_schema

TestParameter = Annotated[dict[str, Any] | None, WithJsonSchema(arranged(describe_schema()))]
"""Raw on purpose: `model.check` finds every problem at once, which Prefect's own check does not."""

# Not cached: Prefect would pickle the parameters for a key, and they hold the worker's connections.
launch = task(name="launch", task_run_name="launch", retries=0, cache_policy=NO_CACHE)(steps.launch)
watch = task(name="watch", task_run_name="watch", retries=0, cache_policy=NO_CACHE)(steps.watch)
collect = task(name="collect", task_run_name="collect", retries=0, cache_policy=NO_CACHE)(steps.collect)
record = task(name="record", task_run_name="record", retries=0, cache_policy=NO_CACHE)(steps.record)


@flow(name="test-run", validate_parameters=False, retries=0, persist_result=False)
async def test_run(test: TestParameter = None, execution_id: UUID | None = None) -> State[None]:  # noqa: PT028  a flow
    """Run one test and end with its verdict.

    Args:
        test: What to run, as in `POST /api/v1/tests`. Give either this or `execution_id`.
        execution_id: A run that was submitted by REST or the command; Assay fills it in by itself.

    """
    run = await entry.enter(test, execution_id)
    if isinstance(run, entry.Refused):
        return run.state

    while (grant := await entry.admitted(run)) is not None:
        attempt = await launch(run, grant)
        await watch(attempt)
        await collect(attempt)
        await record(attempt)

    return state_of(await entry.verdict(run))


test_run.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest thinks of the name
