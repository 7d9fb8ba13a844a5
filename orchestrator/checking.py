"""The check of requests and suites with the rules of all tools: one check for every way in."""

from executors.registry import RULES
from model import check as model_check
from model import suite as model_suite
from model.request import LocalTest, TestRequest
from model.suite import Suite


def check(raw: object) -> TestRequest:
    """Return the request that `raw` describes. Raises: InvalidError with all problems, each with its path."""
    return model_check.check(raw, RULES)


def check_suite(raw: object, *, allow_local: bool = False) -> Suite:
    """Return the suite that `raw` describes. Raises: InvalidError with all problems of it and of its tests."""
    return model_suite.check_suite(raw, RULES, allow_local=allow_local)


def check_file(raw: object) -> Suite | TestRequest | LocalTest:
    """Return what a file holds: a suite, or a single test. Content may be local. Raises: InvalidError."""
    return model_suite.check_file(raw, RULES)
