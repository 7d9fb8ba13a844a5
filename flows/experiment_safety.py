"""The safety checks of an experiment: asks each connection, and keeps everything that was seen in a decision record."""

from chaos.safety import DecisionRecord, decide
from db import chaos_switch
from flows.experiment_run import ExperimentRun


async def reasons_against(run: ExperimentRun, step: str) -> tuple[str, ...]:
    """Make all safety checks, note the decision, and return what blocks: nothing, if the experiment may go on."""
    stopped = await run.context.db.run_patiently(chaos_switch.stopped)
    decision = await _decided(run, step)
    run.decisions = (*run.decisions, decision)
    return (*([stopped.sentence] if stopped else []), *decision.reasons)


async def _decided(run: ExperimentRun, step: str) -> DecisionRecord:
    """Ask for each check that is configured. One that cannot be asked is not seen, and blocks."""
    return decide(run.experiment.safety_checks, (), run.context.now(), step)
