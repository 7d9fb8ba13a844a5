"""What an assertion says: its outcome, the events that decided it, and how often it was exercised."""

from dataclasses import dataclass, field
from enum import StrEnum

from events.event import Event, Milliseconds, describe


class Outcome(StrEnum):
    """What is known about an assertion. All but `pending` are final."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    """The test ended before it could be decided, or the events do not carry what is needed to decide it."""
    VACUOUS = "vacuous"
    """Nothing happened that it speaks about, so it was not tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """Whether an assertion held before, during and after faults.

    `recovered_ms` counts from the end of the last fault, None if it did not recover.
    """

    before: Outcome
    during: Outcome
    after: Outcome
    recovered_ms: Milliseconds | None

    def __str__(self) -> str:
        """Return it in one line."""
        recovery = "not recovered" if self.recovered_ms is None else f"recovered after {self.recovered_ms:.0f} ms"
        return (
            f"each phase alone: before the faults {self.before}, during {self.during}, after {self.after}; {recovery}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionResult:
    """The result of one assertion.

    `witnesses` are the events that decided it: for a failed rule, those without which it would not have failed.
    `notes` say what a reader has to know beside it, such as near misses. `phases` says whether it held before, during
    and after the faults of the test, if it had some.
    """

    name: str
    outcome: Outcome
    message: str
    at: Milliseconds
    witnesses: tuple[Event, ...] = ()
    notes: tuple[str, ...] = field(default=())
    phases: Phases | None = None

    def __str__(self) -> str:
        """Return what it says, in lines for a person: `assert result.passed, str(result)`."""
        lines = [f"{self.outcome} {self.name}: {self.message}"]
        if not self.passed:
            lines += [*map(describe, self.witnesses), *self.notes]
        return "\n  ".join(lines)

    @property
    def passed(self) -> bool:
        """Say whether the assertion was exercised and holds."""
        return self.outcome is Outcome.PASSED


def worst(outcomes: list[Outcome]) -> Outcome:
    """Return the outcome of a whole. Unknown and vacuous are not passed, and a whole without parts is vacuous."""
    for outcome in (Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.PENDING, Outcome.VACUOUS):
        if outcome in outcomes:
            return outcome
    return Outcome.PASSED if outcomes else Outcome.VACUOUS
