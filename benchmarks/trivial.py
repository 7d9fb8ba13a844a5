"""The trivial flow that both workers run: one task, nothing in it."""

from prefect import flow, task


@task
async def step() -> int:
    """Do nothing, visibly."""
    return 1


@flow(name="trivial", persist_result=False)
async def trivial() -> int:
    """Run one task."""
    return await step()
