"""Drives an experiment: carries out the commands of its state, one after the other, and tells it what happened.

Between any two commands the state is in the database. A worker that takes the experiment over goes on from there, and
past the first fault that was written down there is only the way back (016.8).
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from prefect import task
from prefect.cache_policies import NO_CACHE

from chaos.experiment_states import (
    Begin,
    Command,
    Cordon,
    Event,
    InjectFault,
    RevertFault,
    Step,
    WriteFaultDown,
)
from cluster.fault_providers import open_or_stand_in
from flows.entry import Run
from flows.experiment import faults
from flows.experiment.keeper import keeping
from flows.experiment.run import ExperimentRun
from flows.experiment.steps import STEPS, write_down
from flows.steps import superseded
from flows.worker_context import WorkerContext
from orchestrator import experiments
from orchestrator.lifecycle import Grant, Superseded

MAY_WAIT = frozenset({Step.SAFETY_CHECK, Step.ADMIT})
"""Steps that may send an experiment back into the gate. Then they lead to no event."""

Act: TypeAlias = Callable[[ExperimentRun], Awaitable[Event | None]]


async def take(run: Run, grant: Grant, *, shown: bool = True) -> None:
    """Run an admitted experiment to its end, or until it waits in the gate again. Raises: Abort."""
    held = await _held(run.context, grant)
    async with keeping(held):
        await _drive(held, deque(held.commands), shown=shown)


async def abandon(context: WorkerContext, grant: Grant, why: str) -> None:
    """End an experiment that this worker failed: by the way back, and never by another injection. Raises: Abort."""
    held = await _held(context, grant, failed=why)
    async with keeping(held):
        await held.write_down()
        await _drive(held, deque(held.commands), shown=False)


async def _held(context: WorkerContext, grant: Grant, failed: str | None = None) -> ExperimentRun:
    begun = await context.db.run_patiently(lambda conn: experiments.begin(conn, grant))
    if isinstance(begun, Superseded):
        raise superseded()
    place = open_or_stand_in(begun.experiment.target, context.places())
    return ExperimentRun(context, grant, begun, place, failed)


async def _drive(run: ExperimentRun, commands: deque[Command], *, shown: bool) -> None:
    """Carry out commands until there are none. In a sequence of faults, observing goes on between them."""
    while commands or run.state.step is Step.OBSERVE:
        command = commands.popleft() if commands else Begin(step=Step.OBSERVE)
        name, act = _work(command)
        event = await (_as_task(name, act) if shown and name else act)(run)
        if isinstance(command, Begin) and command.step in MAY_WAIT and event is None:
            return  # it waits in the gate once more
        if event is not None:
            commands.extend(await run.tell(event))


def _work(command: Command) -> tuple[str, Act]:
    """Return the name of the step in Prefect, empty for what is not shown, and what carries the command out."""
    match command:
        case Begin(step=Step.REVERT):
            return "", _nothing
        case Begin():
            return command.step.value, STEPS[command.step]
        case WriteFaultDown():
            return "", lambda run: write_down(run, command.fault)
        case InjectFault():
            return Step.INJECT.value, lambda run: faults.inject(run, command.fault)
        case RevertFault():
            return Step.REVERT.value, lambda run: faults.revert(run, command.fault)
        case Cordon():
            return "", lambda run: faults.cordon(run, command.fault, run.state.reason)


def _as_task(name: str, act: Act) -> Act:
    """Return a step as a task of Prefect. It is not cached, and not tried again: the state decides what comes next."""

    async def step(run: ExperimentRun) -> Event | None:
        return await act(run)

    shown: Act = task(name=name, task_run_name=name, retries=0, cache_policy=NO_CACHE, persist_result=False)(step)
    return shown


async def _nothing(_: ExperimentRun) -> None:
    """Do nothing: the faults are reverted by commands of their own."""
