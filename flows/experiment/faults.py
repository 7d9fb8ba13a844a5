"""The faults of one experiment: written down, injected, kept by signs of life, reverted, verified."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import Connection

from chaos.experiment_states import Injected, Stopped, Verified, WrittenDown
from chaos.journal import EventKind
from chaos.observed import Span
from chaos.provider import FaultId, FaultStatus
from chaos.verdict import End
from chaos.windows import Window
from cluster.faults.provider import InjectError, Injection
from db import chaos_faults, chaos_switch
from db.chaos_faults import FaultRow, NewFault
from db.errors import UnavailableError
from flows.experiment.reverts import take_back
from flows.experiment.run import WRITE_PATIENCE, ActiveFault, ExperimentRun

MARGIN = timedelta(seconds=10)
"""A fault reverts itself so much later than the worker should. So the worker is the first, and its end is measured."""

log = logging.getLogger("assay.experiments")


def planned(run: ExperimentRun, number: int) -> list[Injection]:
    """Return what one fault of the experiment is: an injection for each target, in order of their names."""
    fault, targets = run.experiment.faults[number], run.resolution.targets if run.resolution else ()
    return [
        Injection(
            id=FaultId(f"{run.grant.execution_id}-{number}-{position}"),
            fault=fault,
            target=target,
            expires_after=timedelta(seconds=fault.duration_seconds) + MARGIN,
        )
        for position, target in enumerate(targets)
    ]


async def write_down(run: ExperimentRun, number: int) -> WrittenDown | Stopped:
    """Write a fault down with its expiry, before anything of it is in the world."""
    if (asked := run.asked()) is not None:
        return asked
    rows = [_new(run, number, one) for one in planned(run, number)]
    await run.context.db.run_patiently(lambda conn: chaos_faults.write_down(conn, rows))
    return WrittenDown(fault=number)


async def inject(run: ExperimentRun, number: int) -> Injected | Stopped:
    """Inject a fault into all targets at once. Not retried: a second try could break twice."""
    if (asked := run.asked()) is not None:
        return asked
    wanted = planned(run, number)
    run.active |= {one.id: ActiveFault(number=number, injection=one) for one in wanted}
    done = await asyncio.gather(*(run.place.faults.inject(one) for one in wanted), return_exceptions=True)
    failed = next((one for one in done if isinstance(one, BaseException)), None)
    if isinstance(failed, InjectError):
        return Stopped(end=End.INFRASTRUCTURE, reason=str(failed))
    if failed is not None:
        raise failed
    now = run.context.now()
    run.injected_at[number] = now
    run.spans.setdefault(Window.FAULT, Span(begins=now, ends=now))
    for one in wanted:
        run.note(EventKind.FAULT, f"{one.fault.name} is active on {one.target.service}")
    await _write(run, lambda conn: chaos_faults.injected(conn, [one.id for one in wanted], now))
    return Injected(fault=number)


async def beat(run: ExperimentRun) -> None:
    """Give a sign of life for each fault, without which its guard reverts it."""
    await asyncio.gather(*(run.place.faults.beat(one) for one in run.active), return_exceptions=True)


async def end_early(run: ExperimentRun, number: int) -> None:
    """End a fault that is shorter than others beside it. It is verified with them, at the end."""
    mine = planned(run, number)
    await asyncio.gather(*(run.place.faults.revert(one.id) for one in mine), return_exceptions=True)
    for one in mine:
        run.note(EventKind.FAULT, f"{one.fault.name} is over on {one.target.service}")


async def revert(run: ExperimentRun, number: int) -> Verified:
    """Revert a fault on all targets, and verify that nothing is left. Idempotent; needs no database and no Prefect."""
    now = run.context.now()
    run.reverting_since = run.reverting_since or now
    if (span := run.spans.get(Window.FAULT)) is not None:
        run.spans[Window.FAULT] = Span(begins=span.begins, ends=now)
    closed = await _taken_back(run, await _rows(run, number))
    run.reverted_at = run.context.now()
    left = [f"{row.name} on {row.target.service}: {'; '.join(row.remains)}" for row in closed if row.remains]
    return Verified(fault=number, clean=not left, reason="; ".join(left))


async def revert_all(run: ExperimentRun) -> None:
    """Revert what this worker injected and did not see reverted: the last way out, whatever has happened."""
    if run.active:
        log.warning("run %s: %d faults are reverted on the way out", run.grant.execution_id, len(run.active))
        await _taken_back(run, [_row_of(run, one) for one in run.active.values()])


async def revert_forgotten(run: ExperimentRun) -> None:
    """Revert what stands in the database as open at the end: it was written down, and the worker died before more."""
    rows = await run.context.db.run_patiently(lambda conn: chaos_faults.of_run(conn, run.grant.execution_id))
    await _taken_back(run, [row for row in rows if row.status not in chaos_faults.CLOSED])


async def cordon(run: ExperimentRun, number: int, reason: str) -> None:
    """Keep all experiments off the targets of a residual, until a person has looked."""
    place = run.experiment.target.claim.split("/")[:2]
    paths = [f"{'/'.join(place)}/{one.target.service}" for one in planned(run, number)]
    by = f"experiment run {run.grant.execution_id}"
    await _write(run, lambda conn: chaos_switch.cordon(conn, paths, reason, by))


async def _taken_back(run: ExperimentRun, rows: Sequence[FaultRow]) -> list[FaultRow]:
    closed = await asyncio.gather(*(take_back(run.place.faults, row, run.context.now) for row in rows))
    for row in closed:
        run.active.pop(row.fault_id, None)
        run.note(EventKind.FAULT, f"{row.name} is {row.status} on {row.target.service}")
    await _write(run, lambda conn: chaos_faults.closed(conn, closed))
    return list(closed)


async def _rows(run: ExperimentRun, number: int) -> list[FaultRow]:
    """Return the rows of a fault: those that this worker knows of, else those that the database has."""
    if mine := [one for one in run.active.values() if one.number == number]:
        return [_row_of(run, one) for one in mine]
    found = await run.context.db.run_patiently(lambda conn: chaos_faults.of_run(conn, run.grant.execution_id))
    return [row for row in found if row.number == number and row.status is not FaultStatus.RESIDUAL]


async def _write(run: ExperimentRun, work: Callable[[Connection], object]) -> None:
    """Write something that the way back does not wait for. What is lost is found by the collector."""
    try:
        await run.context.db.run_patiently(work, timeout=WRITE_PATIENCE)
    except UnavailableError as away:
        log.warning("run %s: %s", run.grant.execution_id, away)


def _new(run: ExperimentRun, number: int, one: Injection) -> NewFault:
    return NewFault(
        fault_id=one.id,
        execution_id=run.grant.execution_id,
        number=number,
        name=one.fault.name,
        type=one.fault.type,
        target=one.target,
        expires_after=one.expires_after,
    )


def _row_of(run: ExperimentRun, active: ActiveFault) -> FaultRow:
    number, one = active.number, active.injection
    injected_at = run.injected_at.get(number)
    return FaultRow(
        fault_id=one.id,
        execution_id=run.grant.execution_id,
        number=number,
        name=one.fault.name,
        type=one.fault.type,
        target=one.target,
        status=FaultStatus.PENDING if injected_at is None else FaultStatus.INJECTED,
        expires_at=(injected_at or run.context.now()) + one.expires_after,
        injected_at=injected_at,
        reverted_at=None,
        effect=None,
        effect_seen=None,
        remains=(),
    )
