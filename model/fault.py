"""Who is at fault: for each ending of each tool its verdict, exit code and Prefect state, and what could mend it (D6).

`CONSEQUENCES` has a row for each verdict: by it the exit code, the state in Prefect and another attempt are decided. A
`Fault` is one ending: by it the reason of a verdict is decided. The endings of every tool stand here, those of one tool
in its module. `docs/faults.md` shows all of them as one table.
Nothing that another attempt cannot mend has exit code 3, so that a job may retry on 3 and on nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from model.execution import Reason, Status, Verdict

EXIT_REFUSED = 4
EXIT_OVER_QUOTA = 6

MILDEST_FIRST = (0, 7, 1, 5, 124, 2, 3, 4)
"""Exit codes by severity: the less a verdict says about the system under test, the worse it is.

7 is milder than 1: what was found to be broken is broken, whatever else an experiment has left open.
4 is worse than 3: if one test of a suite must be set up in another way, trying all of them again does not help.
"""


class Blame(StrEnum):
    """Who has to change something."""

    NOBODY = "nobody"
    PERSON = "a person"
    TARGET = "the target, or the test"
    TEST = "the test"
    SETUP = "the set-up by the test's author"
    REQUEST = "the request"
    INFRASTRUCTURE = "the infrastructure"


class Again(StrEnum):
    """Whether Assay makes another attempt."""

    NEVER = "no"
    POLICY = "by the retry policy"
    ALWAYS = "always, three times at most"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefectState:
    """A final state of Prefect: its type, and its name where that is another one."""

    type: str
    name: str = ""

    @property
    def shown(self) -> str:
        """The name that Prefect's pages show."""
        return self.name or self.type


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """What follows from one status with one reason."""

    status: Status
    reason: Reason | None = None
    exit_code: int
    prefect: PrefectState
    again: Again = Again.NEVER


_FAILED = PrefectState(type="Failed")
_CRASHED = PrefectState(type="Crashed")
_MISCONFIGURED = PrefectState(type="Failed", name="Misconfigured")


def _failed(reason: Reason, exit_code: int, prefect: PrefectState, again: Again = Again.NEVER) -> Consequence:
    return Consequence(status=Status.FAILED, reason=reason, exit_code=exit_code, prefect=prefect, again=again)


CONSEQUENCES: Sequence[Consequence] = (
    Consequence(status=Status.COMPLETED, exit_code=0, prefect=PrefectState(type="Completed")),
    _failed(Reason.TESTS_FAILED, 1, _FAILED, Again.POLICY),
    _failed(Reason.TOOL_FAILED, 1, _FAILED),
    _failed(Reason.OOM_KILLED, 1, _FAILED, Again.POLICY),
    _failed(Reason.REPORT_MISMATCH, 1, _FAILED),
    Consequence(status=Status.CANCELLED, exit_code=2, prefect=PrefectState(type="Cancelled")),
    _failed(Reason.EVICTED, 3, _CRASHED, Again.ALWAYS),
    _failed(Reason.NODE_LOST, 3, _CRASHED, Again.ALWAYS),
    _failed(Reason.INFRASTRUCTURE, 3, _CRASHED, Again.ALWAYS),
    _failed(Reason.PLACEMENT, 3, _CRASHED, Again.ALWAYS),
    _failed(Reason.CONFIG, 4, _MISCONFIGURED),
    _failed(Reason.CONTENT, 4, _MISCONFIGURED),
    _failed(Reason.START_ERROR, 4, _MISCONFIGURED),
    _failed(Reason.IMAGE_PULL, 4, _MISCONFIGURED),
    _failed(Reason.UNSCHEDULABLE, 4, _MISCONFIGURED),
    _failed(Reason.NO_TESTS, 5, PrefectState(type="Failed", name="NoTests"), Again.POLICY),
    Consequence(
        status=Status.TIMEOUT,
        exit_code=124,
        prefect=PrefectState(type="Failed", name="TimedOut"),
        again=Again.POLICY,
    ),
)

EXPERIMENT_CONSEQUENCES: Sequence[Consequence] = (
    _failed(Reason.HYPOTHESIS_NOT_MET, 1, _FAILED),
    _failed(Reason.HALTED, 1, _FAILED),
    _failed(Reason.INCONCLUSIVE, 7, PrefectState(type="Completed", name="Inconclusive")),
    _failed(Reason.SAFETY_CHECK, 4, _FAILED),
    _failed(Reason.RESIDUAL, 3, _CRASHED),
)
"""What only an experiment ends with: the same as in `chaos.verdict` and in `docs/experiments.md`."""

_BY_VERDICT: Mapping[tuple[Status, Reason | None], Consequence] = {
    (one.status, one.reason): one for one in (*CONSEQUENCES, *EXPERIMENT_CONSEQUENCES)
}

INFRASTRUCTURE_REASONS = frozenset(one.reason for one in CONSEQUENCES if one.again is Again.ALWAYS and one.reason)
"""Failures that are not the fault of the test. Their retries have a cap of their own, and flakiness ignores them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What one ending of one tool means. `tool` is empty for an ending of every tool."""

    tool: str = ""
    happened: str
    blame: Blame
    status: Status = Status.FAILED
    reason: Reason | None = None

    @property
    def consequence(self) -> Consequence:
        """What follows from it."""
        return _BY_VERDICT[self.status, self.reason]

    def verdict(self, detail: str = "") -> Verdict:
        """Return the verdict of an attempt that ended like this. `detail` is one sentence for the owner."""
        return Verdict(status=self.status, reason=self.reason, detail=detail)


PASSED = Fault(happened="exit code 0, and every test that ran has passed", blame=Blame.NOBODY, status=Status.COMPLETED)
NO_TESTS = Fault(happened="no test was found, or all were skipped", blame=Blame.SETUP, reason=Reason.NO_TESTS)
TIMED_OUT = Fault(happened="it reached `config.timeout`", blame=Blame.TARGET, status=Status.TIMEOUT)
STOPPED = Fault(
    happened="a person cancelled it, or a more important run took its node",
    blame=Blame.PERSON,
    status=Status.CANCELLED,
)
OUT_OF_MEMORY = Fault(happened="it reached `resources.memoryLimit`", blame=Blame.TEST, reason=Reason.OOM_KILLED)
OUT_OF_DISK = Fault(
    happened="it used more scratch disk than `resources.ephemeralStorage`", blame=Blame.TEST, reason=Reason.TOOL_FAILED
)
SIGNAL = Fault(
    happened="a signal ended it, for example a segmentation fault", blame=Blame.TARGET, reason=Reason.TESTS_FAILED
)
BROKEN_REPORT = Fault(
    happened="its report is cut off, too large or not readable", blame=Blame.SETUP, reason=Reason.REPORT_MISMATCH
)
DISAGREEMENT = Fault(
    happened="exit code 0, but a test failed or has no outcome; or it ended before its report did",
    blame=Blame.SETUP,
    reason=Reason.REPORT_MISMATCH,
)
NOT_STARTED = Fault(
    happened="its program is missing, not executable, or no program at all; or its arguments are too long",
    blame=Blame.REQUEST,
    reason=Reason.START_ERROR,
)
CONTENT = Fault(
    happened="the content is missing or refused: no such repository, branch, host or path, no access",
    blame=Blame.REQUEST,
    reason=Reason.CONTENT,
)
SETUP = Fault(
    happened="the requirements cannot be met, or a secret cannot be read",
    blame=Blame.SETUP,
    reason=Reason.CONFIG,
)
IMAGE = Fault(happened="the image is missing, or access to it is denied", blame=Blame.REQUEST, reason=Reason.IMAGE_PULL)
NO_NODE = Fault(happened="no node could ever take it", blame=Blame.REQUEST, reason=Reason.UNSCHEDULABLE)
INFRASTRUCTURE = Fault(
    happened="the node has no memory, disk or processes left; a git host or a package registry does not answer",
    blame=Blame.INFRASTRUCTURE,
    reason=Reason.INFRASTRUCTURE,
)
LOST = Fault(
    happened="its processes were killed from outside, and how it ended is unknown",
    blame=Blame.INFRASTRUCTURE,
    reason=Reason.INFRASTRUCTURE,
)
PLACEMENT = Fault(
    happened="the cluster refused the nodes that the gate had chosen, more than ten times",
    blame=Blame.INFRASTRUCTURE,
    reason=Reason.PLACEMENT,
)
EVICTED = Fault(
    happened="the cluster took its place: its node was drained, or a more important pod came",
    blame=Blame.INFRASTRUCTURE,
    reason=Reason.EVICTED,
)
NODE_LOST = Fault(
    happened="its node stopped answering, or was removed", blame=Blame.INFRASTRUCTURE, reason=Reason.NODE_LOST
)

COMMON: Sequence[Fault] = (
    PASSED,
    NO_TESTS,
    TIMED_OUT,
    STOPPED,
    OUT_OF_MEMORY,
    OUT_OF_DISK,
    SIGNAL,
    BROKEN_REPORT,
    DISAGREEMENT,
    NOT_STARTED,
    CONTENT,
    SETUP,
    IMAGE,
    NO_NODE,
    INFRASTRUCTURE,
    LOST,
    PLACEMENT,
    EVICTED,
    NODE_LOST,
)
"""The endings that every tool may have. A tool has further ones of its own (`executors/tool.py`)."""


def consequence_of(verdict: Verdict) -> Consequence:
    """Return what follows from a verdict."""
    return _BY_VERDICT[verdict.status, verdict.reason]


def exit_code(status: Status, reason: Reason | None) -> int:
    """Return the exit code of the command for a verdict (D6)."""
    found = _BY_VERDICT.get((status, reason))
    return _LEAST_KNOWN if found is None else found.exit_code


_LEAST_KNOWN = 3
"""The exit code of a failure without a known reason."""


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the worst verdict, and the first one of several equal ones. Raises: ValueError for an empty list."""
    if not verdicts:
        msg = "no verdicts to compare"
        raise ValueError(msg)
    return max(verdicts, key=lambda v: MILDEST_FIRST.index(exit_code(v.status, v.reason)))
