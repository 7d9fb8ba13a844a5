"""A revert that does not work at once: it is tried again, and what stays makes the fault a residual."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from chaos.provider import FaultId, FaultStatus
from chaos.targets import Target
from cluster.faults.provider import Effect, Injection
from db.chaos_faults import FaultRow
from flows.experiment.reverts import TRIES, take_back
from model.ids import RunId, uuid7

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUN = RunId(uuid7(NOON, Random(1)))


@dataclass
class Stubborn:
    """A place that answers only after `away` calls, and is clean only after `dirty` looks.

    What a revert must never call raises, so that a test notices it.
    """

    away: int = 0
    dirty: int = 0
    speechless: bool = False
    reverts: int = field(default=0)

    async def inject(self, injection: Injection) -> None:
        raise NotImplementedError

    async def beat(self, fault: FaultId) -> None:
        raise NotImplementedError

    async def status(self, fault: FaultId) -> FaultStatus:
        raise NotImplementedError

    async def effect(self, fault: FaultId) -> Effect:  # noqa: ARG002  as the port has it
        if self.speechless:
            raise ConnectionError("no answer")
        return Effect(seen=True, sentence="delayed: 3")

    async def revert(self, fault: FaultId) -> None:  # noqa: ARG002  as the port has it
        self.reverts += 1
        if self.reverts <= self.away:
            raise ConnectionError("no answer")

    async def verify(self, fault: FaultId) -> tuple[str, ...]:  # noqa: ARG002  as the port has it
        return ("a rule is left",) if self.reverts - self.away <= self.dirty else ()


def row() -> FaultRow:
    target = Target(place="shop", service="payments", name="payments", identity="boot:1:1")
    return FaultRow(
        fault_id=FaultId("f"),
        execution_id=RUN,
        number=0,
        name="slow",
        type="network-latency",
        target=target,
        status=FaultStatus.INJECTED,
        expires_at=NOON,
        injected_at=NOON,
        reverted_at=None,
        effect=None,
        effect_seen=None,
        remains=(),
    )


async def test_a_place_that_is_away_is_asked_until_it_answers() -> None:
    place = Stubborn(away=2, dirty=1)

    closed = await take_back(place, row(), lambda: NOON)

    assert (closed.status, closed.remains, closed.effect, closed.effect_seen) == (
        FaultStatus.REVERTED, (), "delayed: 3", True,
    )  # fmt: skip
    assert place.reverts == 4


async def test_what_is_left_after_all_tries_makes_it_a_residual() -> None:
    place = Stubborn(dirty=99)

    closed = await take_back(place, row(), lambda: NOON)

    assert (closed.status, closed.remains) == (FaultStatus.RESIDUAL, ("a rule is left",))
    assert place.reverts == TRIES


async def test_an_effect_that_cannot_be_read_holds_up_nothing_and_was_not_seen() -> None:
    closed = await take_back(Stubborn(speechless=True), row(), lambda: NOON)

    assert (closed.status, closed.effect_seen) == (FaultStatus.REVERTED, False)
