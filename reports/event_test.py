"""The values of the report of an event-driven test: what arrived, what was judged, when faults were active."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One event that arrived `at` milliseconds after the trigger fired.

    `source` is who sent it, as far as it says so. `payload` is its text. `poison` says why it could not be decoded.
    """

    number: int
    type: str
    topic: str
    place: str
    at: float
    source: str = ""
    key: str = ""
    payload: str = ""
    poison: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultWindow:
    """A fault was active from `begins` to `ends`, in milliseconds after the trigger fired."""

    name: str
    begins: float
    ends: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One assertion. `witnesses` are the numbers of the events that decided it. `phases` says whether it held when."""

    name: str
    outcome: str
    message: str
    at: float
    witnesses: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Say whether it passed."""
        return self.outcome == "passed"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReport:
    """A whole test. `events` are those that are shown: `left_out` more arrived."""

    name: str
    outcome: str
    ended_at: float
    trigger: str
    judged: tuple[Judged, ...]
    events: tuple[Arrival, ...]
    left_out: int = 0
    windows: tuple[FaultWindow, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def telling(self) -> frozenset[int]:
        """Return the numbers of the events that decided an assertion which did not pass."""
        return frozenset(number for one in self.judged if not one.passed for number in one.witnesses)
