"""Runs the four steps of one attempt: as tasks of Prefect, or as plain calls while Prefect is away.

launch     start the test, or find it started
watch      wait until it has ended; copy its log and progress; stop it when asked to
collect    read what it left, and judge it
record     write the results; the run ends, or waits for its next attempt
"""

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows import steps
from flows.entry import Run
from orchestrator.lifecycle import Grant

# Not cached: Prefect would pickle the parameters for a key, and they hold the worker's connections.
_launch = task(name="launch", task_run_name="launch", retries=0, cache_policy=NO_CACHE)(steps.launch)
_watch = task(name="watch", task_run_name="watch", retries=0, cache_policy=NO_CACHE)(steps.watch)
_collect = task(name="collect", task_run_name="collect", retries=0, cache_policy=NO_CACHE)(steps.collect)
_record = task(name="record", task_run_name="record", retries=0, cache_policy=NO_CACHE)(steps.record)


async def take(run: Run, grant: Grant, *, shown: bool = True) -> None:
    """Run the four steps of an attempt. With `shown`, each step is a task of the current flow run."""
    attempt = await (_launch if shown else steps.launch)(run, grant)
    await (_watch if shown else steps.watch)(attempt)
    await (_collect if shown else steps.collect)(attempt)
    await (_record if shown else steps.record)(attempt)
