"""A rule of the gate for tests, since this installation registers none."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.admission.rule import ClassFacts, GateRule, PoolFacts
from scheduler.admission.rules import RULES


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """From `begins` to `ends`, runs of priority `least` or less important do not start, unless they are aged."""

    begins: datetime
    ends: datetime
    least: int = 2

    def refusal(self, line: ClassFacts, pool: PoolFacts) -> str | None:
        if line.aged or line.priority < self.least or not self.begins <= pool.now < self.ends:
            return None
        return f"runs of priority {self.least} to 9 are frozen until {self.ends:%H:%M} UTC"

    def next_change(self, now: datetime) -> datetime | None:
        return min((moment for moment in (self.begins, self.ends) if moment > now), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnePerUser:
    """A user has one run of priority 9 at a time: a rule that looks at who runs and who was just admitted."""

    def refusal(self, line: ClassFacts, pool: PoolFacts) -> str | None:
        holding = [place.queued for place in pool.running]
        there = [run for run in (*holding, *pool.admitted) if run.user_id == line.user_id and run.priority == 9]
        return "its user has a run of priority 9 already" if there and line.priority == 9 else None

    def next_change(self, now: datetime) -> datetime | None:  # noqa: ARG002  one shape for all rules
        return None


def rules_under_test(begins: datetime, ends: datetime) -> dict[str, GateRule]:
    """Return all registered rules by the names of their classes, and the two above."""
    return {type(one).__name__: one for one in (*RULES, Freeze(begins=begins, ends=ends), OnePerUser())}
