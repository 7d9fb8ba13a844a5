"""Looks for the targets of an experiment before it is submitted, and refuses what could not be done to them."""

from chaos.experiment import Experiment
from chaos.plan import plan
from chaos.targets import resolve
from cluster.fault_providers import PlaceError, PlaceSettings, open_place
from db.errors import ConflictError
from model.problems import InvalidError, Problem
from orchestrator.experiments import Prepared


async def prepared(experiment: Experiment, settings: PlaceSettings) -> Prepared:
    """Return an experiment with its targets. A cluster that is not reached from here is looked at by the worker.

    Raises: InvalidError with every reason against it; ConflictError if its local environment does not run.
    """
    try:
        found = await open_place(experiment.target, settings).targets.find(experiment.target)
    except PlaceError as error:
        if experiment.target.environment is None:
            return Prepared(experiment=experiment)
        raise ConflictError(str(error)) from error
    resolution = resolve(experiment, found.candidates, found.graph)
    planned = plan(experiment, resolution, there=found.providers)
    if planned.problems:
        raise InvalidError(Problem(path="target", message=problem) for problem in planned.problems)
    return Prepared(experiment=experiment, resolution=resolution)
