"""The check of requests and suites with the rules of all tools: one check for every way in."""

from chaos.experiment_reading import check_experiment
from executors.registry import RULES
from model import check as model_check
from model import suite as model_suite
from model.lenient import mapping
from model.problems import InvalidError, Problem
from model.request import LocalTest, TestRequest
from model.suite import Suite


def check(raw: object) -> TestRequest:
    """Return the request that `raw` describes. Raises: InvalidError with all problems, each with its path."""
    return model_check.check(raw, RULES)


def check_suite(raw: object, *, allow_local: bool = False) -> Suite:
    """Return the suite that `raw` describes. Raises: InvalidError with all problems of all its parts."""
    of_experiment = _problems_of_experiment(raw)
    try:
        suite = model_suite.check_suite(raw, RULES, allow_local=allow_local)
    except InvalidError as error:
        raise InvalidError([*error.problems, *of_experiment]) from error
    if of_experiment:
        raise InvalidError(of_experiment)
    return suite


def check_file(raw: object) -> Suite | TestRequest | LocalTest:
    """Return what a file holds: a suite, or a single test. Content may be local. Raises: InvalidError."""
    return check_suite(raw, allow_local=True) if model_suite.is_suite(raw) else model_suite.check_file(raw, RULES)


def _problems_of_experiment(raw: object) -> list[Problem]:
    """Return what is wrong with the experiment of a suite. It runs with the suite, so it has no schedule (028.1)."""
    experiment = mapping(raw).get("experiment")
    if not isinstance(experiment, dict):
        return []
    found: list[Problem] = []
    if experiment.get("schedule") is not None:
        message = "leave it out: the experiment runs with its suite, which may have `schedules`"
        found.append(Problem(path="experiment.schedule", message=message))
    try:
        check_experiment(experiment)
    except InvalidError as error:
        found += error.under("experiment").problems
    return found
