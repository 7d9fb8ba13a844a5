"""Finds the run that people mean by an id, whatever its kind, and reads its details."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.failure import UsageError
from model.runs import RunKind

if TYPE_CHECKING:
    from cli.client import Client  # httpx loads slowly

ADDRESSES = {RunKind.TEST.value: "/tests", RunKind.SUITE.value: "/suites/runs"}
"""The address of the details, by kind. A kind that is not here has only what all kinds have in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRun:
    """A run: its whole id, its kind, and the address of its details in the API."""

    id: str
    kind: str
    details: str

    @property
    def is_test(self) -> bool:
        """True for a test that runs by itself or in a suite."""
        return self.kind == RunKind.TEST

    @property
    def is_suite(self) -> bool:
        """True for a suite run."""
        return self.kind == RunKind.SUITE


def find(client: "Client", text: str) -> FoundRun:
    """Return the run that `text` means: an id, or a unique beginning or end of one. Raises: RefusedError."""
    answer = client.get(f"/runs/{text}")
    return found(str(answer["runId"]), str(answer["kind"]))


def found(run_id: str, kind: str) -> FoundRun:
    """Return a run whose id and kind are known."""
    return FoundRun(id=run_id, kind=kind, details=f"{ADDRESSES.get(kind, '/runs')}/{run_id}")


def test(execution_id: str) -> FoundRun:
    """Return a test whose id is known."""
    return found(execution_id, RunKind.TEST)


def suite(suite_run_id: str) -> FoundRun:
    """Return a suite run whose id is known."""
    return found(suite_run_id, RunKind.SUITE)


def tests_of(run: FoundRun, answer: Any) -> list[Any]:
    """Return the tests in the details of a run: those of a suite, or the test itself.

    Raises: UsageError for a run of another kind.
    """
    if not run.is_suite and not run.is_test:
        raise UsageError(f"a run of the kind {run.kind} has no tests: `assay show {run.id}` shows what it has")
    return [_named(test, answer) for test in answer["executions"]] if run.is_suite else [answer]


def _named(test: Any, suite_run: Any) -> Any:
    """Return a test of a suite run; what ran once more without the fault of its experiment has a name that says so."""
    if suite_run.get("experiment") and test["retriedFrom"]:
        return {**test, "name": f"{test['name']} (without the fault)"}
    return test
