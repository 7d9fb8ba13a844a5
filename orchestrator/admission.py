"""One round of a pass: read, plan, write. A pass that starts very many goes on in rounds (`db.gate.run_pass`)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from db import gate_locks, gate_read, gate_reserved, gate_usage, gate_write
from db.gate_read import Facts
from db.gate_write import Admitted, Lessee
from model.ids import ExecutionId
from scheduler.across import kept_across
from scheduler.decisions import Admit, Decision, Preempt, Wait
from scheduler.order import rank
from scheduler.outcome import Outcome
from scheduler.plan import decide, spell_out
from scheduler.run import Queued


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round of a pass did. `more`: there may be others to start that it has not read.

    `again`: somebody was put off.
    """

    admitted: list[Admitted]
    preempted: tuple[ExecutionId, ...] = ()
    more: bool = False
    again: bool = False


def make(conn: Connection, known: Facts, lessee: Lessee | None) -> Round:
    """Read, plan and write once. Only the last round says why the others wait, and stops anybody for them."""
    found = gate_read.waiting(conn, known)
    busy = found.busy(gate_locks.try_claims(conn, found.claims())) if known.several else frozenset()
    state = gate_read.state(conn, known, found, busy)
    outcome = decide(state, known.now)
    tell = partial(_tell, known, found, outcome)
    decisions = spell_out(state, outcome, known.now, tell)
    chosen, more = _in_order(decisions, known, found, outcome.put_off)
    admitted = gate_write.admit(conn, chosen, known, found, lessee)
    started = {run.execution_id for run in admitted}
    dropped = [d.run for d in decisions if isinstance(d, Admit) and d.run.execution_id not in started]
    dropped += [found.runs[run] for run in outcome.put_off]
    gate_usage.write(conn, known, gate_usage.of(outcome, dropped, known.limits), started=bool(admitted))
    if more and len(admitted) < known.room:
        return Round(admitted=admitted, more=True)
    gate_write.explain(conn, decisions, known, found)
    if known.several:
        ours = found.runs.keys() - busy - outcome.admitted.keys()
        gate_reserved.write(conn, ours, kept_across(outcome), found.notes)
    asked = gate_write.preempt(conn, [d for d in decisions if isinstance(d, Preempt)], known.now)
    return Round(admitted=admitted, preempted=tuple(asked), again=bool(outcome.put_off))


def _tell(known: Facts, found: gate_read.Waiting, outcome: Outcome, run: Queued, position: int) -> bool:
    """Return whether a run that waits is told why in this pass: once a second all that were read."""
    return known.annotate or gate_write.urgent(run, position, outcome, found)


def _in_order(
    decisions: Sequence[Decision], known: Facts, found: gate_read.Waiting, put_off: Collection[ExecutionId]
) -> tuple[list[Admit], bool]:
    """Return who may start now, and whether there may be more to start.

    Where all rows that were read of some shape start, and there may be more of it, those come before whoever is next
    in order: the others wait for the next round, but for those up to which every row was read. No group is torn by
    that. So it is where they are put off; but another round would find the same, so the others wait for the next pass.
    """
    starts = [d for d in decisions if isinstance(d, Admit) or (isinstance(d, Wait) and d.run.execution_id in put_off)]
    end = next((i for i, d in enumerate(starts, start=1) if d.run.execution_id in found.last), None)
    if end is None:
        return [d for d in starts if isinstance(d, Admit)], False
    more = isinstance(starts[end - 1], Admit)
    if found.whole is not None:
        sure = sum(rank(d.run, known.limits, known.now) <= found.whole for d in starts)
        end = max(end, sure)
    later = {d.run.group for d in starts[end:] if d.run.group is not None}
    return [d for d in starts[:end] if isinstance(d, Admit) and d.run.group not in later], more
